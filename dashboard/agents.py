"""Agents in other places: how long ago each was heard of, and what waits there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import widgets
from dashboard.context import Caller

COLUMNS = ("agent", "state", "location", "lag", "waiting_records", "waiting_lines", "sources", "trouble", "version")
#: Of these, figures.
NUMERIC = (3, 4, 5, 6)
#: Seconds by which a clock may differ from the engine's; beyond it the agent takes the engine's time.
CLOCK_TOLERATED = 30


def agents(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """A card; nothing where there are no agents."""
    if not rows:
        return []
    head = [caller.words(f"collectors.{name}") for name in COLUMNS]
    body = [_cells(caller, one) for one in rows]
    return widgets.card(widgets.table(head, body, numeric=NUMERIC), title=caller.words("collectors.agents"))


def _cells(caller: Caller, one: Mapping[str, Any]) -> list[Any]:
    words = caller.words
    return [
        one["agent"],
        widgets.state(caller, one["state"]),
        one["location"],
        words.seconds(one["lag_seconds"]),
        *(words.number(one[name], 0) for name in ("waiting_records", "waiting_lines", "sources")),
        _trouble(caller, one),
        one["version"],
    ]


def _trouble(caller: Caller, one: Mapping[str, Any]) -> str:
    """What is not as it should be there, in words; empty when all is well."""
    words = caller.words
    names = ("failing", "refused", "dropped_lines", "dropped_samples", "refused_samples")
    told = [words(f"collectors.{name}", count=words.number(one[name], 0)) for name in names if one[name]]
    ahead = one["clock_ahead_seconds"] or 0
    if abs(ahead) > CLOCK_TOLERATED:
        told.append(words(f"collectors.clock_{'ahead' if ahead > 0 else 'behind'}", time=words.seconds(abs(ahead))))
    return ", ".join(told)
