"""Many networks of one architecture as one stack of weights, stepped together.

symbol   code          shape      meaning
B                                 members
w, g     weights, ...  (B, ...)   a parameter of every member, and the gradient of each one's own loss
m, v     first, second (B, ...)   decaying means of g and g²
β        beta1, beta2  (B,)       their decay
η, λ     lr, weight_decay (B,)    learning rate and weight decay
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from hpo_core.errors import ArgumentError
from hpo_core.nn.task import tensor_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from hpo_core.nn.training import Training

_EPS = 1e-8  # of Adam, as in torch.optim

_COLUMNS = ("lr", "momentum", "beta1", "beta2", "weight_decay")


class Dropout(nn.Module):
    """``nn.Dropout`` whose probability is a tensor, so that each member of a stack has its own."""

    p: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        self.register_buffer("p", torch.tensor(p), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero elements with probability p and scale up the others, while training."""
        if not self.training:
            return inputs
        p = self.p.to(inputs.dtype)
        kept = (torch.rand_like(inputs) >= p).to(inputs.dtype)
        return inputs * kept / (1.0 - p).clamp_min(torch.finfo(inputs.dtype).tiny)  # p = 1 keeps none


class Stack:
    """Networks as stacked tensors.

    Attributes
    ----------
    weights : dict of str to Tensor
        What is trained, (B, ...) each.
    buffers : dict of str to Tensor
        What is not, (B, ...) each.
    saved : dict of str to str
        For each name that a network's ``state_dict`` holds, that in the stack: the same but for weights that
        layers share, which are in the stack once.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        for network in networks:
            _vary_dropout(network)
        _require_one_architecture(networks)
        self._network = networks[0]
        own = {id(tensor): name for name, tensor in self._network.named_parameters()}
        state = self._network.state_dict(keep_vars=True)
        self.saved = {name: own.get(id(tensor), name) for name, tensor in state.items()}
        parameters, buffers = stack_module_state(list(networks))
        self.weights = {name: tensor for name, tensor in parameters.items() if tensor.requires_grad}
        frozen = {name: tensor for name, tensor in parameters.items() if not tensor.requires_grad}
        self.buffers = {**frozen, **buffers}

    def train(self, mode: bool) -> None:  # noqa: FBT001 - as in nn.Module
        """Switch between training and evaluation."""
        self._network.train(mode)

    def state(self) -> dict[str, Tensor]:
        """Return everything in the stack, by name."""
        return {**self.weights, **self.buffers}

    def map(self, loss: Callable[[Tensor, Tensor, Any], Tensor]) -> Callable[..., Tensor]:
        """Return a function of (inputs, targets, extra), (B, ...) each, that gives each member's loss.

        ``extra`` may be a number, the same for all.
        """

        def of_one(state: dict[str, Tensor], inputs: Tensor, targets: Tensor, extra: Any) -> Tensor:
            return loss(tensor_from(functional_call(self._network, state, (inputs,))), targets, extra)

        def of_all(inputs: Tensor, targets: Tensor, extra: Any) -> Tensor:
            dims = (0, 0, 0, 0 if isinstance(extra, torch.Tensor) else None)
            mapped = vmap(of_one, in_dims=dims, randomness="different")
            losses: Tensor = mapped(self.state(), inputs, targets, extra)
            return losses

        return of_all

    def outputs(self, inputs: Tensor) -> Tensor:
        """Outputs of every member, (B, n, ...), for the same inputs (n, ...)."""

        def of_one(state: dict[str, Tensor]) -> Tensor:
            return tensor_from(functional_call(self._network, state, (inputs,)))

        result: Tensor = vmap(of_one, randomness="different")(self.state())
        return result

    def keep(self, rows: Tensor) -> None:
        """Let go of all members but some."""
        self.weights = {name: w.detach()[rows].requires_grad_() for name, w in self.weights.items()}
        self.buffers = {name: tensor[rows] for name, tensor in self.buffers.items()}


class StackedOptimizer:
    """SGD, Adam or AdamW on a stack, each member with settings of its own; the same as torch.optim's.

    Parameters
    ----------
    stack : Stack
    settings : sequence of Training
        One per member, all with the same optimizer.
    """

    def __init__(self, stack: Stack, settings: Sequence[Training]) -> None:
        self.stack = stack
        self.kind = settings[0].optimizer
        self.nesterov = settings[0].nesterov
        self.steps = 0
        columns = {name: [getattr(each, name) for each in settings] for name in _COLUMNS}
        # On the CPU in float64, from which what a step needs is prepared.
        self.columns = {name: torch.tensor(column, dtype=torch.float64) for name, column in columns.items()}
        self.first = [torch.zeros_like(w, requires_grad=False) for w in stack.weights.values()]
        self.second = [] if self.kind == "sgd" else [torch.zeros_like(m) for m in self.first]
        self._prepare()

    def _prepare(self) -> None:
        weights = [w.detach() for w in self.stack.weights.values()]
        self.weights = weights
        self.scratch = [torch.empty_like(w) for w in weights]
        columns = self.columns
        self.decays = bool((columns["weight_decay"] > 0).any())
        self.momentum = self._shaped(columns["momentum"])
        self.decay = self._shaped(columns["weight_decay"])
        self.shrink = self._shaped(1 - columns["lr"] * columns["weight_decay"])
        self.minus_lr = self._shaped(-columns["lr"])
        self.gain1, self.gain2 = (self._shaped(1 - columns[name]) for name in ("beta1", "beta2"))
        self.log_beta1, self.log_beta2 = (self._beside(columns[name].log()) for name in ("beta1", "beta2"))
        self.minus_lr_column = self._beside(-columns["lr"])

    def column(self, values: Sequence[float]) -> Tensor:
        """Return a number per member as a tensor (B,) beside the weights."""
        like = next(iter(self.stack.weights.values()))
        return torch.tensor(values, dtype=like.dtype, device=like.device)

    def _shaped(self, column: Tensor) -> list[Tensor]:
        """Return a column (B,) as (B, 1, ...) beside each weight."""
        if not self.weights:
            return []
        column = self._beside(column)
        return [column.to(w.dtype).view(-1, *[1] * (w.ndim - 1)) for w in self.weights]

    def _beside(self, column: Tensor) -> Tensor:
        """Return a column (B,) in the weights' precision, where they are."""
        like = self.weights[0] if self.weights else column
        return column.to(torch.promote_types(like.dtype, torch.float32)).to(like.device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move every member along the gradient of its own loss."""
        self.steps += 1
        if self.decays and self.kind == "adamw":
            for w, shrink in zip(self.weights, self.shrink, strict=True):
                w.mul_(shrink)
        elif self.decays:
            parts = zip(gradients, self.weights, self.decay, strict=True)
            gradients = [torch.addcmul(g, w, decay) for g, w, decay in parts]
        if self.kind == "sgd":
            self._step_sgd(gradients)
        else:
            self._step_adam(gradients)

    def _step_sgd(self, gradients: Sequence[Tensor]) -> None:
        parts = zip(self.weights, gradients, self.first, self.momentum, self.minus_lr, strict=True)
        for w, g, m, momentum, minus_lr in parts:
            m.mul_(momentum).add_(g)
            w.addcmul_(torch.addcmul(g, m, momentum) if self.nesterov else m, minus_lr)

    def _step_adam(self, gradients: Sequence[Tensor]) -> None:
        # w -= η/(1-β₁ᵗ) m / (√(v/(1-β₂ᵗ)) + ε), with the corrections moved out of the elements. They are
        # made where the weights are, or every step would wait for a copy; 1-βᵗ as such would cancel.
        debias1, debias2 = (-torch.expm1(self.steps * log) for log in (self.log_beta1, self.log_beta2))
        root = debias2.sqrt()
        scales = self._shaped(self.minus_lr_column * root / debias1)
        floors = self._shaped(_EPS * root)
        moments = zip(self.first, self.second, self.gain1, self.gain2, strict=True)
        rest = zip(self.scratch, scales, floors, strict=True)
        for w, g, (m, v, gain1, gain2), (s, scale, floor) in zip(
            self.weights, gradients, moments, rest, strict=True
        ):
            m.lerp_(g, gain1)
            v.lerp_(torch.mul(g, g, out=s), gain2)
            torch.div(m, torch.sqrt(v, out=s).add_(floor), out=s)
            w.addcmul_(s, scale)

    def _moments(self) -> dict[str, list[Tensor]]:
        """Return the moments under the names that ``torch.optim`` gives them."""
        if self.kind == "sgd":
            return {"momentum_buffer": self.first}
        return {"exp_avg": self.first, "exp_avg_sq": self.second}

    def states(self, rows: Sequence[int]) -> list[dict[str, dict[str, Tensor]]]:
        """Return what an optimizer of ``torch.optim`` would hold for each weight of some members, by name."""
        states: list[dict[str, dict[str, Tensor]]] = []
        for row in rows:
            states.append({name: {} for name in self.stack.weights})
            for key, stacked in self._moments().items():
                for held, tensor in zip(states[-1].values(), stacked, strict=True):
                    held[key] = tensor[row].to("cpu", copy=True)
            if self.kind != "sgd":
                # A tensor for each weight, as torch.optim counts in place.
                for held in states[-1].values():
                    held["step"] = torch.tensor(float(self.steps))
        return states

    def load(self, states: Sequence[Mapping[str, Mapping[str, Tensor]]]) -> None:
        """Go on from what ``states`` gave for each member, or from what ``torch.optim`` holds."""
        for row, state in enumerate(states):
            for key, stacked in self._moments().items():
                for name, tensor in zip(self.stack.weights, stacked, strict=True):
                    if key in state.get(name, {}):
                        tensor[row].copy_(state[name][key])
            steps = [int(held["step"]) for held in state.values() if "step" in held]
            self.steps = max([self.steps, *steps])

    def keep(self, rows: Tensor) -> None:
        """Let go of all members but some, after the stack has."""
        self.columns = {name: column[rows.cpu()] for name, column in self.columns.items()}
        self.first = [m[rows] for m in self.first]
        self.second = [v[rows] for v in self.second]
        self._prepare()


def _vary_dropout(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p).to(_device_of(network)))


def _device_of(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in network.parameters()), torch.device("cpu"))


def _require_one_architecture(networks: Sequence[nn.Module]) -> None:
    """Raise unless every network looks like the first."""
    shapes = [{name: tuple(t.shape) for name, t in network.state_dict().items()} for network in networks]
    layers = repr(networks[0])
    for k, (network, of_this) in enumerate(zip(networks, shapes, strict=True)):
        allowed = "allowed in a cohort is one architecture"
        for name in {**shapes[0], **of_this}:
            if of_this.get(name) != shapes[0].get(name):
                raise ArgumentError(
                    f"configurations[{k}] gives {name!r} the shape {of_this.get(name)}, configurations[0] "
                    f"{shapes[0].get(name)}; {allowed}"
                )
        if repr(network) != layers:
            raise ArgumentError(
                f"configurations[{k}] gives a network with other layers than configurations[0]; {allowed}"
            )
