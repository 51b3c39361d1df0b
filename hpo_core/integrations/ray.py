"""A searcher for Ray Tune: ``tune.TuneConfig(search_alg=HpoSearch())``."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from hpo_core.errors import ArgumentError, SpaceExhausted
from hpo_core.metrics import Maximize, Metrics, Minimize
from hpo_core.space import Categorical, Float, Int, Space
from hpo_core.study import Study

try:
    from ray import cloudpickle
    from ray.tune.result import DEFAULT_METRIC
    from ray.tune.search import Searcher, sample
except ImportError as error:
    raise ImportError("hpo_core.integrations.ray needs Ray Tune: pip install 'hpo-core[ray]'") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpo_core.metrics import Metric

logger = logging.getLogger("hpo_core")

_FAILED: Final = "error in Ray Tune"


class HpoSearch(Searcher):
    """Suggestions of a ``Study`` for ``tune.Tuner``.

    Intermediate results are reported to the study with their ``training_iteration`` as the step. A trial that
    a scheduler of Tune stops counts with its last result. A trial fails if it ends with an error, or if its
    metric is not finite.

    Parameters
    ----------
    space : Space or mapping, optional
        The search space, in parameters of hpo_core or of Tune. By default ``param_space`` of the tuner:
        nested dictionaries of ``tune.uniform``, ``loguniform``, ``randint``, ``lograndint``, their
        quantized forms, and ``choice``. A name with "/" stands for a nested dictionary.
    metric, mode : str, or lists of str, optional
        The result to optimise, and "min" or "max"; or several results, with a mode for each. By default those
        of ``tune.TuneConfig``. If the tuner has no ``param_space``, give them together with ``space``.
    points_to_evaluate : sequence of mappings, optional
        Configurations to try first; the sampler chooses missing values.
    metrics : mapping of str to Minimize, Maximize, AtMost or AtLeast, optional
        Replaces ``metric`` and ``mode`` if results have bounds or references, or are known from the
        parameters; see ``Study``. Only the scheduler then reads the metric of ``tune.TuneConfig``.
    sampler : str or Sampler, default "auto"
        As for ``Study``.
    seed : int, optional
        As for ``Study``; by default one is drawn.
    scheduler : None
        Not allowed, because Tune decides which trials stop: give one of its schedulers to
        ``tune.TuneConfig``.

    Attributes
    ----------
    study : Study or None
        None until a space and a mode, or metrics, are known.

    Raises
    ------
    ArgumentError
        The space holds something without a counterpart (``grid_search``, ``sample_from``, ``randn``), or
        another argument is not allowed.

    Examples
    --------
    >>> from ray import tune
    >>> config = tune.TuneConfig(search_alg=HpoSearch(seed=0), metric="loss", mode="min", num_samples=20)
    >>> front = tune.TuneConfig(search_alg=HpoSearch(metric=["loss", "ms"], mode=["min", "min"]))
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any] | None = None,
        metric: str | Sequence[str] | None = None,
        mode: Literal["min", "max"] | Sequence[Literal["min", "max"]] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
        *,
        metrics: Mapping[str, Metric] | None = None,
        sampler: Any = "auto",
        seed: int | None = None,
        scheduler: None = None,
    ) -> None:
        if scheduler is not None:
            raise ArgumentError(
                f"scheduler must be None, got {scheduler!r}; Ray Tune decides which trials stop: pass a "
                "scheduler of Ray Tune to tune.TuneConfig"
            )
        goal = _read_goal(metric, mode)
        if metrics is not None and any(goal):
            raise ArgumentError("metric and mode must be left out if metrics are given")
        super().__init__(*goal)
        self._metric: Any  # text, or a list of it
        self._mode: Any
        self._goals = None if metrics is None else Metrics(metrics)
        self._points = points_to_evaluate
        self._sampler = sampler
        self._seed = seed
        self._space: Space | None = None
        self._labels: dict[str, dict[str, Any]] = {}  # choices that cannot be hashed, by their repr
        self._steps: dict[str, Any] = {}  # of logarithmic parameters, which are searched without steps
        if space is not None:
            self._take(space)
        self._numbers: dict[str, int] = {}  # trial numbers of the study by Tune's names
        self.study: Study | None = None
        if self._space is not None and (mode is not None or metrics is not None):
            self._start()

    def set_search_properties(self, metric: Any, mode: Any, config: Mapping[str, Any], **_: object) -> bool:
        """Use the tuner's metric, mode and space unless they were given; False if a space was given."""
        metric, mode = _read_goal(metric, mode)
        if self.study is not None:
            return False
        self._metric, self._mode = _read_goal(self._metric or metric, self._mode or mode)
        own = self._space is not None
        if self._space is None:
            self._take(config)
        self._start()
        return not own

    def _take(self, space: Space | Mapping[str, Any]) -> None:
        if not isinstance(space, Space | Mapping):
            raise ArgumentError(f"space must be a Space or a mapping of names to parameters, got {space!r}")
        domains = {} if isinstance(space, Space) else dict(_domains(space))
        self._labels = {name: labels for name, domain in domains.items() if (labels := _labels(domain))}
        self._steps = {name: step for name, domain in domains.items() if (step := _coarse_step(domain))}
        searched = {name: _convert(name, domain) for name, domain in domains.items()}
        self._space = space if isinstance(space, Space) else Space(searched or space)

    def _flat(self, config: Mapping[str, Any]) -> dict[str, Any]:
        flat = dict(_leaves(config))
        return flat | {name: repr(flat[name]) for name in self._labels.keys() & flat.keys()}

    def _start(self) -> None:
        metric, mode, goals = self._metric, self._mode, self._goals
        if goals is None and mode is None:
            raise ArgumentError(
                "mode must be 'min' or 'max', got None; give it to tune.TuneConfig or HpoSearch, or metrics"
            )
        if goals is None and isinstance(mode, list):
            kinds = {"min": Minimize(), "max": Maximize()}
            goals = Metrics({name: kinds[each] for name, each in zip(metric, mode, strict=True)})
        elif goals is None:
            self._metric = metric or DEFAULT_METRIC  # what a function returned
            goals = Metrics.of("minimize" if mode == "min" else "maximize")
        space: Any = self._space
        self.study = Study(space, sampler=self._sampler, metrics=goals, seed=self._seed)
        for point in self._points:
            self.study.enqueue(self._flat(point))

    def _started(self) -> Study:
        if self.study is None:
            raise ArgumentError(
                "HpoSearch has nothing to search: pass param_space to tune.Tuner, or pass space, metric and "
                "mode to HpoSearch"
            )
        return self.study

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of a trial, ``FINISHED`` once a finite space is used up."""
        study = self._started()
        if trial_id not in self._numbers:
            try:
                self._numbers[trial_id] = study.ask().number
            except SpaceExhausted:
                return self.FINISHED
        params = study.trials[self._numbers[trial_id]].params
        for name in self._labels.keys() & params.keys():
            params[name] = self._labels[name][params[name]]
        for name in self._steps.keys() & params.keys():
            params[name] = round(params[name] / self._steps[name]) * self._steps[name]
        return _nested(params)

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Report an intermediate result, if it has all metrics."""
        number, value = self._running(trial_id), self._value(result)
        if number is not None and value is not None:
            self._started().trials[number].report(result["training_iteration"], value)

    def on_trial_complete(
        self,
        trial_id: str,
        result: Mapping[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Ray's signature
    ) -> None:
        """Finish a trial with its last result; without one it has failed, or ends with its last report."""
        number, value = self._running(trial_id), self._value(result or {})
        if number is None:
            return
        study = self._started()
        if value is not None:
            study.tell(number, value)
        elif error:
            study.fail(number, reason=_FAILED)
        else:
            study.stop_trials(number)

    def _running(self, trial_id: str) -> int | None:
        number = self._numbers.get(trial_id)
        if number is None or self._started().trials[number].state.name != "RUNNING":
            logger.warning("trial %s of Tune is unknown or has finished; its result is not used", trial_id)
            return None
        return number

    def _value(self, result: Mapping[str, Any]) -> Any:
        metrics = self._started().metrics
        if self._goals is None and isinstance(self._metric, str):  # the study calls it "value"
            return result.get(self._metric)
        values = {name: result.get(name) for name in metrics.reader.measured}
        return None if any(value is None for value in values.values()) else values

    def add_evaluated_point(
        self,
        parameters: Mapping[str, Any],
        value: Any,
        error: bool = False,  # noqa: FBT001, FBT002 - Ray's signature
        *_: object,
        **__: object,
    ) -> None:
        """Add a result from elsewhere: a number, or a mapping of names to numbers if there are several."""
        if error:
            self._started().add(self._flat(parameters), reason=_FAILED)
        else:
            self._started().add(self._flat(parameters), value)

    def save(self, checkpoint_path: str) -> None:
        """Write the state to a file; Tune calls this after every step."""
        Path(checkpoint_path).write_bytes(cloudpickle.dumps(vars(self)))  # type: ignore[no-untyped-call]

    def restore(self, checkpoint_path: str) -> None:
        """Read a file that ``save`` wrote. It is a pickle: open only files that you trust."""
        vars(self).update(pickle.loads(Path(checkpoint_path).read_bytes()))


def _read_goal(metric: Any, mode: Any) -> tuple[Any, Any]:
    """Return a metric and its mode, or lists of several."""
    if isinstance(metric, list | tuple) or isinstance(mode, list | tuple):
        names, modes = ([*each] if isinstance(each, list | tuple) else [] for each in (metric, mode))
        if not names or len(names) != len(modes) or len(set(map(str, names))) < len(names):
            raise ArgumentError(
                "metric and mode must be lists of distinct names and of as many modes, "
                f"got {metric!r} and {mode!r}"
            )
        for pair in zip(names, modes, strict=True):
            _check_goal(*pair)
        return names, modes
    _check_goal(metric, mode)
    return metric, mode


def _check_goal(metric: object, mode: object) -> None:
    if mode not in (None, "min", "max"):
        raise ArgumentError(f"mode must be 'min' or 'max', got {mode!r}")
    if not isinstance(metric, str | None):
        raise ArgumentError(f"metric must be the name of a result, or a list of names, got {metric!r}")


def _leaves(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested dictionaries, by names with "/"."""
    for key, value in config.items():
        name = f"{path}/{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, name)
        else:
            yield name, value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries of values by names with "/": the inverse of ``_leaves``."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = name.split("/")
        inner = nested
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return nested


def _domains(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and domains of what Tune would draw; the rest stays in the tuner's configuration."""
    for name, value in _leaves(config):
        if name.split("/")[-1] == "grid_search":
            owner = name.rpartition("/")[0]
            raise ArgumentError(f"parameter {owner!r} must be a range or tune.choice, got tune.grid_search")
        if isinstance(value, sample.Domain):
            yield name, value
        elif isinstance(value, list | tuple) and any(isinstance(each, sample.Domain) for each in value):
            raise ArgumentError(f"parameter {name!r} must be a dictionary, got a list that holds ranges")


def _labels(domain: Any) -> dict[str, Any]:
    """Choices by their repr if one of them cannot be hashed; otherwise nothing."""
    if not isinstance(domain, sample.Categorical):
        return {}
    try:
        hash(tuple(domain.categories))
    except TypeError:
        return {repr(choice): choice for choice in domain.categories}
    return {}


def _drawn(domain: Any) -> tuple[Any, Any]:
    """The sampler of a domain, and the step that its values are rounded to, 0 for none."""
    drawn = domain.get_sampler()
    return (drawn.sampler, drawn.q) if isinstance(drawn, sample.Quantized) else (drawn, 0)


def _coarse_step(domain: Any) -> Any:
    # A parameter of ours has a logarithm or a step: the logarithm matters more to the search.
    drawn, step = _drawn(domain)
    return step if isinstance(drawn, sample.LogUniform) else 0


def _convert(name: str, domain: Any) -> Float | Int | Categorical:
    drawn, step = _drawn(domain)
    log = isinstance(drawn, sample.LogUniform)
    if isinstance(domain, sample.Categorical) and isinstance(drawn, sample.Uniform):
        return Categorical(list(_labels(domain) or domain.categories))
    if isinstance(domain, sample.Float | sample.Integer) and (log or isinstance(drawn, sample.Uniform)):
        low, high = domain.lower, domain.upper
        if step:  # Tune's values are multiples, whatever the bounds
            low, high = math.ceil(low / step - 1e-9) * step, math.floor(high / step + 1e-9) * step
        elif isinstance(domain, sample.Integer):
            high -= 1  # excluded, unless quantized
        if isinstance(domain, sample.Integer):
            return Int(int(low), int(high), log=log, step=1 if log else int(step or 1))
        return Float(low, high, log=log, step=None if log else step or None)
    kind = f"{type(domain).__name__} of {type(drawn).__name__.strip('_')}"
    raise ArgumentError(f"parameter {name!r} must be a range with bounds or tune.choice, got {kind}")
