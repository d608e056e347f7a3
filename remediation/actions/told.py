"""A state that somebody else tells as JSON, ``{"state": {...}, "capacity": {...}}``, and sets as a whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from remediation.situation import Impact
from watchkeeper.model import RiskClass
from watchkeeper.ports import Reading

from . import said
from .base import mapping, state_hash


class Bounds(Protocol):
    """What the options of such a target say of its risk."""

    @property
    def floor(self) -> float: ...

    @property
    def risk(self) -> str: ...


def nothing_told() -> Reading:
    """Of a target whose state cannot be read."""
    return Reading(state={}, epoch=state_hash({}))


def reading_of(what: str, answer: str | bytes) -> Reading:
    """Raises ActionError for an answer of another form."""
    try:
        body = mapping(json.loads(answer, parse_constant=_no_number), "the answer")
        state = dict(mapping(body["state"], "state"))
        capacity = {str(name): _figure(value) for name, value in mapping(body.get("capacity", {}), "capacity").items()}
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise said.unreadable(what, error) from error
    return Reading(state=state, epoch=state_hash(state), capacity=capacity)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _figure(value: object) -> float:
    """Of members: a finite number from 0 up."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"capacity: write a number from 0 up, not {value!r}")
    return float(value)


def desired_of(reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    """``state``: the absolute state wanted. What cannot be read has no way back."""
    said.check_words(parameters, ("state",))
    wanted = dict(mapping(parameters.get("state", {}), "state"))
    known = all(name in reading.state for name in wanted)
    return wanted, {name: reading.state[name] for name in wanted} if known else {}


def impact_of(reading: Reading, desired: Mapping[str, object], bounds: Bounds, problem: str = "") -> Impact:
    """Touched is what would change; how many are healthy afterwards is what the teller says.

    Where members are counted, or must be left, those it says nothing of are not healthy.
    """
    total = reading.capacity.get("total", float(len(reading.state) or 1))
    unsaid = 0.0 if bounds.floor > 0 or "total" in reading.capacity else total
    return Impact(
        touched=tuple(sorted(name for name, value in desired.items() if reading.state.get(name) != value)),
        healthy_after=reading.capacity.get("healthy", unsaid),
        total=total,
        floor=bounds.floor,
        ceiling=total,
        direction="same",
        risk=RiskClass(bounds.risk),
        problem=problem,
    )
