"""Create a stored study or find it again. The first event of its log describes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from hpo_core.checks import SEED_LIMIT, shown, some
from hpo_core.errors import StorageError, StudyError
from hpo_core.log.decode import DAMAGE
from hpo_core.log.events import READER, SEVERAL_METRICS, require_reader
from hpo_core.log.journal import LogPlace
from hpo_core.log.ledger import until_written
from hpo_core.metrics import Metrics
from hpo_core.samplers.registry import SAMPLERS
from hpo_core.schedulers.registry import SCHEDULERS
from hpo_core.space import Space
from hpo_core.storage import Storage, open_storage
from hpo_core.storage.base import CHANGED, CREATED, DURABILITY
from hpo_core.study.compatibility import check_widening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpo_core.storage import Record


@dataclass(frozen=True, slots=True)
class Description:
    """Everything that defines a study, apart from its trials."""

    space: Space  # without its ``feasible`` function
    feasible: bool  # whether there is one
    sampler: dict[str, Any]  # name and options; no options if the sampler is the user's own
    seed: int
    metrics: Metrics
    allow_duplicates: bool
    durability: str = "normal"
    scheduler: dict[str, Any] | None = None  # name and options, as of the sampler

    def to_json(self) -> str:
        """Return the text of the event ``created``; without metrics, any version can read the log."""
        return json.dumps(self.written(json.loads(self.space.to_json())))

    def written(self, space: Any) -> dict[str, Any]:
        """Return what ``to_json`` writes, with this as the space."""
        direction = self.metrics.direction
        goal: dict[str, Any] = {"directions": [direction]}
        if direction is None:
            goal = {"metrics": self.metrics.to_json()}
        written = {
            "reader": READER if self.scheduler else SEVERAL_METRICS if "metrics" in goal else 1,
            "space": space,
            "sampler": self.sampler,
            "seed": self.seed,
            **goal,
            "allow_duplicates": self.allow_duplicates,
        }
        rare = {
            "scheduler": self.scheduler,
            "feasible": self.feasible,
            "durability": self.durability if self.durability != "normal" else None,
        }
        return written | {name: value for name, value in rare.items() if value}

    @classmethod
    def of(cls, records: Sequence[Record], name: str) -> Description:
        """Read a description from the events that hold it, with the space as it was last changed."""
        event = records[0][0] if records else 0
        try:
            if not records or records[0][:2] != (0, CREATED):
                raise StorageError("there is no such event")
            data = _fields(records[0], _CREATED)
            require_reader(data)
            metrics = metrics_of(data)
            feasible = data.get("feasible", False)
            if type(feasible) is not bool:
                raise StorageError(f"field 'feasible' must be a bool, got {shown(feasible, 80)}")
            durability = data.get("durability", "normal")
            if durability not in DURABILITY:
                raise StorageError(
                    f"field 'durability' must be one of {DURABILITY}, got {shown(durability, 80)}"
                )
            event = records[-1][0]
            space = Space.from_json(json.dumps(_fields(records[-1], {"space": dict})["space"]))
            if not 0 <= data["seed"] < SEED_LIMIT:
                raise StorageError(f"field 'seed' must be in [0, 2**63), got {shown(data['seed'])}")
            scheduler = data.get("scheduler")
            for field, said in (("sampler", data["sampler"]), ("scheduler", scheduler)):
                if said is not None and (type(said) is not dict or type(said.get("name")) is not str):
                    raise StorageError(f"field {field!r} must hold a name, got {shown(said, 80)}")
            return cls(
                space,
                feasible,
                data["sampler"],
                data["seed"],
                metrics,
                data["allow_duplicates"],
                durability,
                scheduler,
            )
        except DAMAGE as error:
            kind = records[-1][1] if records and event else CREATED
            raise StorageError(
                f"the log of study {name!r} has no description: event {event}, {kind}: {error}"
            ) from error


_CREATED: Final[dict[str, type]] = {
    "space": dict,
    "sampler": dict,
    "seed": int,
    "allow_duplicates": bool,
}


def metrics_of(data: dict[str, Any]) -> Metrics:
    """Read the metrics from the event ``created``."""
    if "metrics" not in data:
        if data.get("directions") not in (["minimize"], ["maximize"]):
            raise StorageError(f"field 'directions' must hold one, got {shown(data.get('directions'), 80)}")
        return Metrics.of(data["directions"][0])
    try:
        return Metrics.from_json(data["metrics"])
    except DAMAGE as error:
        raise StorageError(
            f"field 'metrics' must describe the metrics, got {shown(data['metrics'], 80)}"
        ) from error


def _fields(record: Record, kinds: dict[str, type]) -> dict[str, Any]:
    """Return the content of an event, after checking the types of its fields."""
    data = json.loads(record[2])
    if type(data) is not dict:
        raise StorageError(f"it must be a JSON object, got {shown(data, 80)}")
    for field, kind in kinds.items():
        if type(data.get(field)) is not kind:
            raise StorageError(f"field {field!r} must be a {kind.__name__}, got {shown(data.get(field), 80)}")
    return data


def find(storage: Storage, name: str) -> tuple[LogPlace, Description]:
    """Return the place of a stored study's log, and the description of the study.

    Raises
    ------
    StudyError
        There is no such study.
    """
    key = key_of(storage, name)
    records = storage.descriptions(key)
    described = Description.of(records, name)
    return LogPlace(storage, key, records[-1][0]), described


def key_of(storage: Storage, name: str) -> int:
    """Return the key of a study by its name."""
    studies = storage.studies()
    if not isinstance(name, str) or name not in studies:
        known = some(studies) or "no studies"
        raise StudyError(f"name: there is no study {shown(name)} in {storage}; the storage has {known}")
    return studies[name]


def attach(
    storage: Any,
    name: str,
    given: Description,
    *,
    seed_given: bool,
    if_exists: str,
    durability: Literal["normal", "full"] | None,
) -> tuple[LogPlace, int]:
    """Create a study in a storage, or resume it there; return the place of its log, and its seed.

    Raises
    ------
    StudyError
        The study exists and must not, or it differs from the one given.
    """
    _check_name(name)
    given = replace(given, durability=durability or "normal")
    opened = open_storage(storage, durability=given.durability)
    place, stored = _create_or_resume(opened, name, given, seed_given=seed_given, if_exists=if_exists)
    if durability is None and stored.durability != given.durability and not isinstance(storage, Storage):
        place = place._replace(storage=open_storage(storage, durability=stored.durability))
    return place, stored.seed


def _check_name(name: str) -> None:
    try:
        good = 1 <= len(name.encode()) <= 1024 and "\0" not in name
    except UnicodeEncodeError:
        good = False
    if not name:
        raise StudyError("name must be given with storage, as in Study(space, storage='x.db', name='first')")
    if not good:
        raise StudyError(
            f"name must be text of 1 to 1,024 bytes without NUL if storage is given, got {name!r}"
        )


def _create_or_resume(
    storage: Storage, name: str, given: Description, *, seed_given: bool, if_exists: str
) -> tuple[LogPlace, Description]:
    """Return place and description of a study, and create it if it does not exist."""
    resume = partial(_resume, storage, name, given, seed_given=seed_given, if_exists=if_exists)
    if name in storage.studies() and (found := resume()) is not None:
        return found

    def change() -> tuple[LogPlace, Description]:
        with storage.transaction():
            if name not in storage.studies():
                key = storage.create(name)
                storage.append(key, [(CREATED, given.to_json())])
                return LogPlace(storage, key, 0), given
            if (found := resume()) is not None:
                return found
            place, stored = find(storage, name)
            widened = json.dumps({"space": json.loads(given.space.to_json())})
            described = storage.append(place.key, [(CHANGED, widened)]) - 1
            return place._replace(described=described), stored

    return until_written(change)


def _resume(
    storage: Storage, name: str, given: Description, *, seed_given: bool, if_exists: str
) -> tuple[LogPlace, Description] | None:
    """Return place and description of an existing study; None if its space must be widened first."""
    if if_exists == "error":
        raise StudyError(
            f"name must be new in {storage} with if_exists='error', got {name!r}; "
            "if_exists='resume' resumes the study"
        )
    place, stored = find(storage, name)
    _check_same(stored, given, name, seed_given=seed_given)
    if stored.space == given.space:
        return place, stored
    check_widening(stored.space, given.space, name)
    return None


def _check_same(stored: Description, given: Description, name: str, *, seed_given: bool) -> None:
    pairs: dict[str, tuple[Any, Any]] = {
        "sampler": (SAMPLERS.complete(stored.sampler), given.sampler),
        "scheduler": (stored.scheduler and SCHEDULERS.complete(stored.scheduler), given.scheduler),
        "metrics": (stored.metrics.to_json(), given.metrics.to_json()),
        "allow_duplicates": (stored.allow_duplicates, given.allow_duplicates),
        **({"seed": (stored.seed, given.seed)} if seed_given else {}),
    }
    directions = stored.metrics.direction, given.metrics.direction
    if None not in directions:
        pairs = {"direction": directions, **pairs}
    for argument, (was, now) in pairs.items():
        if was != now:
            raise StudyError(f"{argument}: study {name!r} was created with {was!r}, got {now!r}")
    if stored.feasible != given.feasible:
        was, now = ("with" if each.feasible else "without" for each in (stored, given))
        raise StudyError(
            f"space: study {name!r} was created {was} a feasible= function, got a space {now} one; storages "
            "keep no functions, so pass the same one to Study(space, storage=..., name=...)"
        )
