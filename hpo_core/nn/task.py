"""The common part of all trainings of an objective: data, network factory, loss, metric, device."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from hpo_core.errors import ArgumentError
from hpo_core.nn.training import SETTINGS, Training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from hpo_core.nn.data import Examples

VALIDATION_BATCH = 256  # examples at a time: more costs memory and gains nothing

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Task:
    """The parts of an objective that do not differ between trials; see ``TrainingObjective``."""

    build: Callable[[Mapping[str, Any]], nn.Module]
    train: Examples
    validation: Examples
    loss: Callable[[Tensor, Tensor], Tensor] | None
    metric: Callable[[Tensor, Tensor], Any] | None
    maximize: bool
    training: Training
    device: torch.device
    timeout: float

    def settings(self, params: Mapping[str, Any]) -> Training:
        """Return the training settings of a configuration."""
        settings = self.training.updated(params)
        if self.loss is not None and settings.label_smoothing > 0:
            raise ArgumentError(
                f"label_smoothing must be 0 with a loss of your own, got {settings.label_smoothing}"
            )
        return settings

    def network(self, params: Mapping[str, Any]) -> nn.Module:
        """Build the network of a configuration, on the device."""
        read = _Watched(params)
        network = self.build(read)
        if not isinstance(network, nn.Module):
            raise ArgumentError(f"build must return a torch.nn.Module, got {type(network).__name__}")
        meant = [name for name in params if name not in SETTINGS]
        if meant and not read.names:
            raise ArgumentError(
                f"build reads no parameter of the trial, so {', '.join(map(repr, meant))} would have no "
                "effect; read them in build, or search training settings only"
            )
        return network.to(self.device)

    def training_loss(self, outputs: Tensor, targets: Tensor, smoothing: float | Tensor) -> Tensor:
        """Loss of a batch, a scalar; ``smoothing`` may be a tensor for the sake of cohorts."""
        if self.loss is None:
            return cross_entropy(outputs, targets, smoothing)
        return _scalar(self.loss(outputs, targets))

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """Metric, or loss without smoothing, of everything in the validation set."""
        if self.metric is None:
            return self.training_loss(outputs, targets, 0.0).item()
        value = self.metric(outputs, targets)
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            shape = tuple(getattr(value, "shape", ()))
            raise ArgumentError(
                f"metric must return a number, got {type(value).__name__} of shape {shape}"
            ) from error

    def better(self, value: float, best: float) -> bool:
        """Whether a value beats the best so far, which is NaN at first."""
        return math.isnan(best) or (value > best if self.maximize else value < best)

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision where it pays: bfloat16 on CUDA devices that compute in it."""
        return torch.autocast("cuda", torch.bfloat16) if _is_mixed(self.device) else nullcontext()


def cross_entropy(outputs: Tensor, targets: Tensor, smoothing: float | Tensor) -> Tensor:
    """Mean cross-entropy of logits (n, classes, ...) against smoothed classes (n, ...)."""
    # log_softmax over a few classes is several times slower than its parts, which vectorise.
    normaliser = outputs.logsumexp(1)
    loss = (normaliser - outputs.gather(1, targets.unsqueeze(1)).squeeze(1)).mean()
    if isinstance(smoothing, float) and smoothing == 0.0:
        return loss
    return (1.0 - smoothing) * loss + smoothing * (normaliser.mean() - outputs.mean())


def tensor_from(outputs: Any) -> Tensor:
    """Return the outputs of a network, which must be one tensor, in float32 if in less."""
    if not isinstance(outputs, torch.Tensor):
        raise ArgumentError(
            f"build must give a network that returns a tensor, got one that returns {type(outputs).__name__}"
        )
    # A loss sums and a metric may ask for a NumPy array: bfloat16 is made for neither.
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


def default_device() -> torch.device:
    """CUDA or MPS if there, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for one training and put the caller's random state back afterwards."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        if device.type == "mps":
            stack.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True))
        seed_all(seed, device)
        yield


def seed_all(seed: int, device: torch.device) -> None:
    """Seed the generators that a training on a device may use."""
    # torch.manual_seed seeds every accelerator there is, whoever uses it, a millisecond each time.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the generators that a training on a device may use, by kind of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_generators(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put generators back into these states; one that was of another kind of device stays as it is."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def release_memory() -> None:
    """Free what a broken training left: reference cycles, and blocks that CUDA keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


@cache
def _is_mixed(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def batches(order: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    """Cut rows (..., n) along the last axis into the fewest batches, even in size."""
    return order.tensor_split(math.ceil(order.shape[-1] / batch_size), dim=-1)


def _scalar(loss: Any) -> Tensor:
    if not isinstance(loss, torch.Tensor) or loss.ndim != 0:
        came = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ArgumentError(f"loss must return a scalar tensor, got {came}")
    return loss


class _Watched(Mapping[str, Any]):
    """A configuration that knows which of its values have been read."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = self._params[name]
        self.names.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return repr(self._params)
