"""Alarms in the order in which they were raised; anomalies of one host or service within some minutes are one entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dashboard import widgets
from dashboard.context import Caller

#: Seconds within which anomalies of one place are taken for one story.
TOGETHER = 600.0
#: Labels that say where a series is from, the first that it has.
PLACES = ("host", "instance")
#: Metrics named of what is folded.
NAMED = 3

Row = Mapping[str, Any]


def bursts(rows: Sequence[Row]) -> list[list[Row]]:
    """Alarms, newest first, in groups of one place, each led by what is furthest from usual.

    An alert of a rule stands alone: somebody wrote that it matters.
    """
    groups: list[list[Row]] = []
    open_ones: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        place = (str(row["service"]), next((row["labels"][name] for name in PLACES if row["labels"].get(name)), ""))
        mine = open_ones.get(place)
        if row["severity"] or mine is None or _seconds(mine[0]) - _seconds(row) > TOGETHER:
            groups.append(mine := [])
        if not row["severity"]:
            open_ones[place] = mine
        mine.append(row)
    return [sorted(group, key=_weight, reverse=True) for group in groups]


def folded(caller: Caller, group: Sequence[Row], shown: Sequence[Any]) -> list[Any]:
    """What is shown of each alarm of a group; all but the first behind a line that says how many there are."""
    if len(group) == 1:
        return list(shown)
    names = list(dict.fromkeys(str(row["title"]) for row in group[1:]))[:NAMED]
    said = caller.words("detection.more", count=len(group) - 1, metrics=", ".join(names))
    first = min(group, key=_seconds)
    return [shown[0], widgets.folded(f"alarms {first['id']}", said, *shown[1:])]


def _weight(row: Row) -> tuple[bool, float]:
    return bool(row["is_open"]), abs(row.get("factor") or 0.0)


def _seconds(row: Row) -> float:
    return datetime.fromisoformat(row["raised_at"]).timestamp()
