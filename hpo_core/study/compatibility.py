"""Changes of a stored study's space, which must keep every earlier configuration as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpo_core.errors import StudyError
from hpo_core.space.json import KINDS

if TYPE_CHECKING:
    from hpo_core.space import Space


_OPEN = KINDS | {"spaces", "doc"}  # may differ: compared by kind, or without effect


def check_widening(stored: Space, given: Space, name: str) -> None:
    """Raise a ``StudyError`` unless ``given`` is ``stored`` with wider ranges, more choices or parameters."""
    old, new = json.loads(stored.to_json()), json.loads(given.to_json())
    why = _narrowed(old["space"], new["space"])
    if old.get("forbid", []) != new.get("forbid", []):
        why = "forbid differs"
    if why is not None:
        raise StudyError(
            f"space of study {name!r}: {why}; only wider ranges, more choices and more parameters are "
            f"allowed.\nStored: {stored!r}\nGiven: {given!r}"
        )


def _narrowed(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """Return why ``new`` does not hold everything that ``old`` does; None if it does."""
    for name, was in old.items():
        if name not in new:
            return f"parameter {name!r} is missing"
        now = new[name]
        fixed = ({key: value for key, value in each.items() if key not in _OPEN} for each in (was, now))
        (kind,) = was.keys() & KINDS
        if kind not in now or len({json.dumps(each, sort_keys=True) for each in fixed}) > 1:
            return f"parameter {name!r} is of another kind or has other options"
        if not _holds(kind, was[kind], now[kind]):
            return f"parameter {name!r} lost values"
        why = _branches(was, now)
        if why is not None:
            return why
    return None


def _holds(kind: str, was: Any, now: Any) -> bool:
    match kind:
        case "float" | "int":
            low, high, *step = was
            new_low, new_high, *new_step = now
            whole = round((low - new_low) / step[0]) * step[0] if step else low - new_low
            aligned = abs(whole - (low - new_low)) <= 1e-9 * abs(low - new_low)
            return bool(new_low <= low and high <= new_high and step == new_step and aligned)
        case "constant":
            return bool(json.dumps(was) == json.dumps(now))
        case _:  # an order must stay one
            texts = list(map(json.dumps, was))
            kept = [text for text in map(json.dumps, now) if text in texts]
            return kept == texts if kind == "ordinal" else set(kept) == set(texts)


def _branches(was: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Do the work of ``_narrowed`` for the parameters that choices own."""
    if "spaces" not in was:
        return None
    listed = now.get("spaces") or [{}] * len(now["categorical"])
    owned = dict(zip(map(json.dumps, now["categorical"]), listed, strict=True))
    for choice, subspace in zip(map(json.dumps, was["categorical"]), was["spaces"], strict=True):
        why = _narrowed(subspace, owned[choice])
        if why is not None:
            return why
    return None
