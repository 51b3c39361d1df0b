"""The metrics of a study: objectives to minimise or maximise, and bounds to keep.

Glossary
--------
M, m, c     metrics, objectives, constraints; M = m + c
rows        metrics in the order of the columns of a history: objectives first, then constraints
signed      a value times the sign of its metric: less is better
limit       signed bound of a constraint, which is kept where the signed value is at most the limit
measured    not known before the trial: the model of a sampler predicts it
known       a formula over the parameters: exact for every configuration
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

import numpy as np

from hpo_core.checks import as_number, as_numbers, check_mapping, check_number, shown, some
from hpo_core.errors import ArgumentError, HpoError, StudyError, TrialError
from hpo_core.hints import did_you_mean, hinting_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo_core.space import Space

    Columns = dict[str, NDArray[Any]]
    Known = Callable[[Columns], Any]

MAX_METRICS: Final = 64
VALUE: Final = "value"  # the one metric of a study that was given a direction


@hinting_class
@dataclass(frozen=True, kw_only=True)
class Minimize:
    """An objective to minimise.

    Parameters
    ----------
    reference : float, optional
        The worst value that you would accept. It bounds the hypervolume of a front, and also steers the
        search, because worse results add no hypervolume. By default it follows from the front, see
        ``Study.hypervolume``.
    known : callable, optional
        ``known(columns)`` computes the metric from the parameters. It gets a mapping of names to columns of
        k values, as ``Space(feasible=)`` does, and returns k numbers, which must be finite for every
        configuration that the space permits. The objective function then does not return this metric, and
        ``auto`` and ``gp`` use the formula instead of a model. Other samplers treat it like a measured one.

    Raises
    ------
    ArgumentError
        ``reference`` is not a finite number, or ``known`` is not a function.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> space = {"width": hpo.Int(8, 256), "lr": hpo.Float(1e-4, 1e-1, log=True)}
    >>> params = hpo.Minimize(known=lambda columns: 10 * columns["width"])
    >>> study = hpo.Study(space, metrics={"error": hpo.Minimize(), "params": params}, seed=0)
    >>> batch = study.add({"width": [16, 32, 64], "lr": [0.01, 0.01, 0.1]}, {"error": [0.3, 0.2, 0.25]})
    >>> front = study.front()  # without the third trial, which the second dominates
    >>> front.values["error"].tolist(), front.values["params"].tolist()
    ([0.2, 0.3], [320.0, 160.0])
    """

    reference: float | None = None
    known: Known | None = None
    kind: ClassVar[str] = "minimize"

    def __post_init__(self) -> None:
        if self.reference is not None:
            rule = "a finite number or None"
            object.__setattr__(
                self, "reference", check_number("reference", self.reference, rule, math.isfinite)
            )
        _check_known(self.known)


@hinting_class
@dataclass(frozen=True, kw_only=True)
class Maximize(Minimize):
    """An objective to maximise.

    Parameters
    ----------
    reference, known
        As for ``Minimize``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, metrics={"accuracy": hpo.Maximize()}, seed=0)
    >>> study.tell(study.ask(2), [0.8, 0.9])
    >>> study.best_value
    0.9
    """

    kind: ClassVar[str] = "maximize"


@hinting_class
@dataclass(frozen=True)
class AtMost:
    """A metric that must not exceed a bound.

    Parameters
    ----------
    bound : float
        The largest value allowed.
    known : callable, optional
        As for ``Minimize``.

    Raises
    ------
    ArgumentError
        ``bound`` is not a finite number, or ``known`` is not a function.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> metrics = {"loss": hpo.Minimize(), "latency_ms": hpo.AtMost(5.0)}
    >>> study = hpo.Study({"width": hpo.Int(1, 100)}, metrics=metrics, seed=0)
    >>> study.optimize(lambda trial: (1 / trial["width"], trial["width"] / 10), n_trials=20)
    >>> study.best_trial.values["latency_ms"] <= 5.0
    True
    """

    bound: float
    known: Known | None = None
    kind: ClassVar[str] = "at_most"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound", check_number("bound", self.bound, "a finite number", math.isfinite))
        _check_known(self.known)


@hinting_class
@dataclass(frozen=True)
class AtLeast(AtMost):
    """A metric that must not fall below a bound.

    Parameters
    ----------
    bound : float
        The smallest value allowed.
    known : callable, optional
        As for ``Minimize``.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> metrics = {"size": hpo.Minimize(), "accuracy": hpo.AtLeast(0.9)}
    >>> study = hpo.Study({"width": hpo.Int(1, 100)}, metrics=metrics, seed=0)
    >>> study.tell(study.ask(2), {"size": [10, 20], "accuracy": [0.8, 0.95]})
    >>> study.best_trial.values
    {'size': 20.0, 'accuracy': 0.95}
    """

    kind: ClassVar[str] = "at_least"


Metric: TypeAlias = Minimize | Maximize | AtMost | AtLeast
_KINDS: Final[dict[str, type[Metric]]] = {kind.kind: kind for kind in (Minimize, Maximize, AtMost, AtLeast)}
_NEGATED: Final = (Maximize, AtLeast)


def _check_known(known: Any) -> None:
    if known is not None and not callable(known):
        raise ArgumentError(f"known must be a function of columns or None, got {shown(known)}")


def _not_stored(_: Columns) -> Any:
    raise StudyError(
        "this needs the function of a known metric, but no storage keeps functions: pass the same metrics "
        "to Study(space, metrics=..., storage=..., name=...)"
    )


@dataclass(frozen=True)
class ResultReader:
    """Reads the results told for trials; it holds no function, so it can be sent to workers.

    Attributes
    ----------
    measured : tuple of str
        Metrics that a result holds, in the order of a sequence.
    known : tuple of str
        Metrics that it must not hold.
    """

    measured: tuple[str, ...]
    known: tuple[str, ...] = ()

    def one(self, result: Any, rule: str | None = None) -> tuple[float, ...]:
        """Read the result of one trial: a mapping, a sequence, or a number if one metric is measured.

        ``rule`` begins the message of an error: "the objective must return", say.
        """
        names = self.measured
        if type(result) is float and len(names) == 1:
            return (result,)
        if rule is None:
            rule = "a value must be" if len(names) == 1 else "values must be"
        named, listed = self._by_name(result), result
        if named is not None:
            self._check_names(named, rule)
            listed = [named[name] for name in names]
        elif _is_row(result) and hasattr(result, "tolist"):
            listed = result.tolist()
        if len(names) == 1 and not isinstance(listed, list | tuple):
            return (as_number(result, rule=f"{rule} a number"),)
        if (
            not isinstance(listed, list | tuple)
            or len(listed) != len(names)
            or (self._is_plain and not named)
        ):
            raise TrialError(f"{rule} {self.what}, got {shown(result)}")
        return tuple(
            as_number(value, rule=f"{rule} a number for {name!r}")
            for name, value in zip(names, listed, strict=True)
        )

    def many(self, results: Any, k: int) -> NDArray[np.float64]:
        """Read the results of ``k`` trials: columns by name, (k, n) numbers, or one result for each trial."""
        names = self.measured
        named = self._by_name(results)
        if named is not None:
            self._check_names(named, "values must be")
            columns = [_column(name, named[name], k) for name in names]
            return np.array(columns, np.float64).reshape(len(names), k)
        is_row = _is_mapping if self._is_plain else _is_row
        if isinstance(results, list | tuple) and (any(map(is_row, results)) or not (k or self._is_plain)):
            if len(results) != k:
                raise TrialError(f"values must have one entry for each of {k} trials, got {len(results)}")
            told = [self.one(each, f"values[{i}] must be") for i, each in enumerate(results)]
            return np.array(told, np.float64).reshape(k, len(names)).T
        shape = tuple(getattr(results, "shape", ()))
        if len(names) == 1 and (self._is_plain or shape != (k, 1)):
            return as_numbers(results, k)[np.newaxis]
        if shape != (k, len(names)):
            got = f"shape {shape}" if shape else shown(results)
            raise TrialError(
                f"values must be columns by name, with {some(names)}, or of shape ({k}, {len(names)}), "
                f"got {got}"
            )
        columns = [_column(name, results[:, i], k) for i, name in enumerate(names)]
        return np.array(columns, np.float64).reshape(len(names), k)

    @property
    def _is_plain(self) -> bool:
        """Whether results are plain numbers: a sequence then holds those of many trials."""
        return len(self.measured) == 1 and not self.known

    def _by_name(self, result: Any) -> Mapping[Any, Any] | None:
        """Return a mapping, or the columns of a table of pandas, which are read by their names."""
        if isinstance(result, Mapping):
            return result
        if self._is_plain or not hasattr(result, "keys") or not hasattr(result, "iloc"):
            return None
        return {name: result[name] for name in result.keys()}  # noqa: SIM118 - a Series is not iterated by name

    @property
    def what(self) -> str:
        """The required form of a result, in words."""
        if self.measured == (VALUE,):
            return "a number"
        if not self.measured:
            return "an empty mapping: every metric is known"
        names = some(self.measured)
        if len(self.measured) == 1:
            return f"a number, or a mapping with {names}"
        return f"a mapping with {names}, or {len(self.measured)} numbers in this order"

    def _check_names(self, result: Mapping[Any, Any], rule: str) -> None:
        for name in self.measured:
            if name not in result:
                raise TrialError(f"{rule} {self.what}; {name!r} is missing in {shown(dict(result))}")
        for name in result:
            if name in self.known:
                raise TrialError(
                    f"{rule} {self.what}; {name!r} must be left out: it is computed from the parameters"
                )
            if name not in self.measured:
                hint = did_you_mean(name, self.measured) if isinstance(name, str) else ""
                raise TrialError(f"{rule} {self.what}, got {shown(name)} as well{hint}")


def _is_mapping(result: Any) -> bool:
    return isinstance(result, Mapping)


def _is_row(result: Any) -> bool:
    """Whether a result holds several metrics of one trial."""
    return isinstance(result, Mapping | list | tuple) or getattr(result, "ndim", 0) == 1


def _column(name: str, column: Any, k: int) -> NDArray[np.float64]:
    try:
        return as_numbers(column, k)
    except TrialError as error:
        raise TrialError(f"{name!r}: {error}") from None


class Metrics(Mapping[str, Metric]):
    """The metrics of a study by name, in the order in which they were given.

    Parameters
    ----------
    metrics : mapping of str to Minimize, Maximize, AtMost or AtLeast
        At least one objective.

    Attributes
    ----------
    names : tuple of str
        As given.
    objectives, constraints : tuple of str
    rows : tuple of str
        Objectives, then constraints.
    sign : (M,) float64
        By row: 1, or -1 for ``Maximize`` and ``AtLeast``.
    limit : (c,) float64
    reference : (m,) float64
        Signed; NaN where none was given.
    known : tuple of callable or None
        By row.
    reader : ResultReader

    Raises
    ------
    StudyError
        A name or a metric is not allowed, or there is no objective.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        check_mapping(
            "metrics",
            metrics,
            "a mapping of names to metrics, such as Minimize()",
            error=StudyError,
        )
        for name, metric in metrics.items():
            _check_metric(name, metric)
        if len(metrics) > MAX_METRICS:
            raise StudyError(f"metrics must be at most {MAX_METRICS}, got {len(metrics)}")
        self._metrics = dict(metrics)
        self.names = tuple(metrics)
        self.objectives = tuple(name for name in metrics if isinstance(metrics[name], Minimize))
        self.constraints = tuple(name for name in metrics if isinstance(metrics[name], AtMost))
        if not self.objectives:
            raise StudyError(
                f"metrics must hold an objective, Minimize() or Maximize(), got {shown(dict(metrics))}"
            )
        self.rows = (*self.objectives, *self.constraints)
        by_row = [metrics[name] for name in self.rows]
        self.sign = np.array([-1.0 if isinstance(each, _NEGATED) else 1.0 for each in by_row])
        self.known = tuple(each.known for each in by_row)
        bounds = [each.bound for each in by_row if isinstance(each, AtMost)]
        self.limit = self.sign[len(self.objectives) :] * np.array(bounds, np.float64)
        references = [each.reference for each in by_row if isinstance(each, Minimize)]
        self.reference = self.sign[: len(self.objectives)] * np.array(references, np.float64)
        self.reader = ResultReader(
            tuple(name for name in self.names if metrics[name].known is None),
            tuple(name for name in self.names if metrics[name].known is not None),
        )

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        return f"Metrics({self._metrics!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Metrics, (self._metrics,)

    @classmethod
    @cache
    def of(cls, direction: Literal["minimize", "maximize"]) -> Metrics:
        """Return the metrics of a study with a direction: one objective, ``VALUE``."""
        return cls({VALUE: Minimize() if direction == "minimize" else Maximize()})

    @cached_property
    def is_plain(self) -> bool:
        """Whether there is one metric, a measured objective."""
        return len(self.rows) == 1 and self.known[0] is None

    @cached_property
    def direction(self) -> Literal["minimize", "maximize"] | None:
        """'minimize' or 'maximize' if the study was created with ``direction=``; otherwise None."""
        only = self._metrics.get(VALUE)
        if len(self) > 1 or not isinstance(only, Minimize) or only.reference is not None or only.known:
            return None
        return "maximize" if isinstance(only, Maximize) else "minimize"

    @property
    def n_objectives(self) -> int:
        """Number of objectives, m."""
        return len(self.objectives)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(M,) the row of each name as given."""
        return np.array([self.rows.index(name) for name in self.names], np.int64)

    @cached_property
    def _measured_rows(self) -> NDArray[np.int64]:
        return np.array([self.rows.index(name) for name in self.reader.measured], np.int64)

    def signed(self, told: Any) -> NDArray[np.float64]:
        """Return signed values (M, k) by row of what a reader has read, (measured, k); NaN where known."""
        outcomes = np.full((len(self.rows), told.shape[1]), np.nan)
        rows = self._measured_rows
        outcomes[rows] = self.sign[rows, np.newaxis] * told
        return outcomes

    def known_values(
        self,
        space: Space,
        x: NDArray[np.float64],
        given: NDArray[np.float64] | None = None,
        *,
        finite: bool = True,
    ) -> NDArray[np.float64]:
        """Return the signed values (M, k) of the known metrics at coordinates (d, k); NaN where measured.

        With ``finite=False`` values need not be finite: those of configurations that the space does not
        permit may not be.

        Raises
        ------
        StudyError
            A function raised, or did not return k numbers, finite ones if ``finite``.
        """
        k = x.shape[1]
        values = np.full((len(self.rows), k), np.nan)
        if not k or not self.reader.known:
            return values
        columns = space.decode(x, given)
        for row, (name, function) in enumerate(zip(self.rows, self.known, strict=True)):
            if function is not None:
                values[row] = self.sign[row] * _evaluated(name, function, columns, k, finite=finite)
        return values

    def by_name(self, outcomes: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the columns of signed values (M, k) by name, in the user's direction."""
        return {
            name: self.sign[row] * outcomes[row]
            for name, row in zip(self.names, self.places.tolist(), strict=True)
        }

    def with_functions(self, change: Callable[[Known | None], Known | None]) -> Metrics:
        """Return the metrics with ``change`` applied to the function of each, None where it is measured."""
        return Metrics({name: replace(each, known=change(each.known)) for name, each in self.items()})

    def without_functions(self) -> Metrics:
        """Return the metrics as a storage knows them: the functions of known ones raise."""
        return Metrics.from_json(self.to_json())

    def to_json(self) -> list[dict[str, Any]]:
        """Return the metrics as JSON values; of a function only that there is one."""
        written = []
        for name, metric in self._metrics.items():
            each: dict[str, Any] = {"name": name, "kind": metric.kind}
            if isinstance(metric, AtMost):
                each["bound"] = metric.bound
            elif metric.reference is not None:
                each["reference"] = metric.reference
            written.append(each | ({"known": True} if metric.known is not None else {}))
        return written

    @classmethod
    def from_json(cls, written: Sequence[Mapping[str, Any]]) -> Metrics:
        """Read what ``to_json`` wrote.

        Raises
        ------
        LookupError, TypeError, ValueError
            It has not written this.
        """
        found: dict[str, Metric] = {}
        for each in written:
            kind: Any = _KINDS[each["kind"]]
            known = _not_stored if each.get("known") else None
            if issubclass(kind, AtMost):
                found[each["name"]] = kind(each["bound"], known=known)
            else:
                found[each["name"]] = kind(reference=each.get("reference"), known=known)
        if len(found) < len(written):
            raise ValueError("two metrics have one name")
        return cls(found)


def _check_metric(name: Any, metric: Any) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 256:
        raise StudyError(f"metrics must have names of 1 to 256 characters, got {shown(name)}")
    if isinstance(metric, type) and issubclass(metric, Minimize | AtMost):
        raise StudyError(f"metrics[{name!r}] must be a metric, such as {metric.__name__}(...), got the class")
    if not isinstance(metric, Minimize | AtMost):
        raise StudyError(
            f"metrics[{name!r}] must be Minimize(), Maximize(), AtMost(bound) or AtLeast(bound), "
            f"got {shown(metric)}"
        )


def _evaluated(name: str, function: Known, columns: Columns, k: int, *, finite: bool) -> NDArray[np.float64]:
    """Return the values (k,) of a known metric, in the user's direction."""
    rule = f"metrics[{name!r}]: known must return {k} finite numbers, one per row"
    try:
        values = as_numbers(function(columns), k)
    except TrialError as error:
        raise StudyError(f"{rule}: {error}") from None
    except HpoError:
        raise
    except Exception as error:
        raise StudyError(f"{rule}, but it raised {shown(error)}") from error
    if finite and not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        at = {each: column[row] for each, column in columns.items()}
        raise StudyError(f"{rule}, got {values[row]} at {shown(at)}")
    return values


PLAIN: Final = Metrics.of("minimize")
