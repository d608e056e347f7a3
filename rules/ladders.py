"""The key ``ladders``: levels of service, best first, and the remediation rules that lead down and up between them.

FULL --(enter of a level, confirmed)--> CACHED --(a deeper enter)--> TEMPLATE
  ^------(leave good for the whole dwell)---'  ^----(one level at a time)---'

A ladder is not a second kind of remediation: each step is a rule of its own, with the same gates, approvals and audit.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from watchkeeper.config.types import format_duration
from watchkeeper.model import Ladder, LadderLevel, RemedyRule
from watchkeeper.promql import unbroken

from .fields import Fields
from .remedies import read_remedy

KEYS = (
    "name", "action", "target", "service", "level", "levels", "budget", "dwell", "observers", "confirm", "interval",
    "mode", "owner", "hold", "cooldown", "labels",
)  # fmt: skip
#: Of a ladder that does not say.
DWELL = timedelta(minutes=5)
LEVEL_KEYS = ("name", "state", "timeout", "enter", "leave")
#: What every step takes over from its ladder as it stands.
SHARED = ("action", "target", "service", "confirm", "mode", "owner", "hold", "cooldown", "labels")


def read_ladder(fields: Fields) -> tuple[Ladder, list[RemedyRule]]:
    """A ladder with its rules, downwards first. Raises ConfigError naming the field."""
    fields.known(*KEYS)
    name, shown = fields.text("name"), fields.promql("level")
    levels = [_level(fields, index, data) for index, data in enumerate(fields.items("levels"))]
    if len(levels) < 2 or len({level.name for level in levels}) < len(levels):
        raise fields.error("needs two levels or more, with names that differ", "levels")
    _check_budget(fields, levels)
    found = [*_down(fields, name, shown, levels), *_up(fields, name, shown, levels)]
    rules = [read_remedy(Fields(fields.document, data, fields.path)) for data in found]
    ladder = Ladder(
        name=name,
        service=fields.text("service", ""),
        target=fields.text("target", ""),
        level=shown,
        budget=fields.duration("budget"),
        dwell=fields.duration("dwell", DWELL),
        levels=levels,
        steps=[rule.name for rule in rules],
        mode=rules[0].mode,
    )
    return ladder, rules


def _level(outer: Fields, index: int, data: Any) -> LadderLevel:
    fields = Fields(outer.document, data, (*outer.path, "levels", index))
    fields.known(*LEVEL_KEYS)
    state = fields.data.get("state")
    if not isinstance(state, dict) or not state:
        raise fields.error("must be a mapping: the state of the target at this level", "state")
    first = index == 0
    for key in ("enter", "leave"):
        if first and key in fields.data:
            raise fields.error("the best level is entered when all others are left; remove it", key)
    return LadderLevel(
        place=index,
        name=fields.text("name"),
        state=dict(state),
        timeout=fields.duration("timeout"),
        enter="" if first else fields.promql("enter"),
        leave="" if first else fields.promql("leave"),
    )


def _check_budget(fields: Fields, levels: list[LadderLevel]) -> None:
    """A request that falls through all levels spends the time of all of them."""
    budget = fields.duration("budget")
    whole = sum((level.timeout for level in levels), timedelta(0))
    if budget and whole > budget:
        parts = " + ".join(format_duration(level.timeout) for level in levels)
        raise fields.error(
            f"one after the other the levels take {parts} = {format_duration(whole)}, more than "
            f"{format_duration(budget)}; shorten them or raise it",
            "budget",
        )


def _down(fields: Fields, name: str, shown: str, levels: list[LadderLevel]) -> Iterator[dict[str, Any]]:
    """To a level from any better one, unless a deeper one is asked for."""
    for level in levels[1:]:
        deeper = "".join(f" unless on() ({other.enter})" for other in levels[level.place + 1 :])
        yield {
            **_shared(fields),
            "name": f"{name}:{level.name}",
            "when": f"(({level.enter}) and on() (max({shown}) < {level.place})){deeper}",
            "observers": fields.data.get("observers") or {},
            "parameters": {"state": level.state},
            "verify": f"max({shown}) < {level.place}",
        }


def _up(fields: Fields, name: str, shown: str, levels: list[LadderLevel]) -> Iterator[dict[str, Any]]:
    """One level at a time, when it was good and known at every look of the dwell, and the level stood as long."""
    interval = fields.duration("interval", timedelta(seconds=15))
    dwell = fields.duration("dwell", DWELL)
    if not interval or dwell < interval:
        raise fields.error("must not be shorter than interval", "dwell")
    looks, span = int(dwell / interval), f"[{format_duration(dwell)}:{format_duration(interval)}]"
    for level in levels[1:]:
        better, place = levels[level.place - 1], level.place
        asked = "".join(f" unless on() ({other.enter})" for other in levels[place:])
        good = [f"count_over_time(count({level.leave}){span})", *unbroken(level.leave, dwell, interval, 2 * interval)]
        held = " and on() ".join(f"({one} >= {looks})" for one in good)
        yield {
            **_shared(fields),
            "name": f"{name}:back:{better.name}",
            "when": f"({held} and on() (max({shown}) == {place})){asked}",
            "observers": {"dwell": f"sum_over_time((max({shown}) == bool {place}){span}) >= {looks}"},
            "parameters": {"state": better.state},
            "verify": f"max({shown}) >= {place}",
        }


def _shared(fields: Fields) -> dict[str, Any]:
    given = {key: fields.data[key] for key in SHARED if key in fields.data}
    return {**given, "interval": fields.data.get("interval", "15s")}
