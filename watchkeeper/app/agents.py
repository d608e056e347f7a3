"""How agents fare, by what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from watchkeeper.clock import to_ms
from watchkeeper.model import Labels, label
from watchkeeper.promql import Vector

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Seconds after which an agent counts as silent; the alert WatchkeeperAgentSilent has the same.
SILENT = 300.0
#: How far back agents are looked for that are silent.
SPAN = "1d"
HEARTBEAT = "watchkeeper_agent_heartbeat_timestamp_seconds"
#: Figure of the answer -> series of the agent, added up.
FIGURES = {
    "waiting_records": "watchkeeper_agent_queue_records",
    "waiting_lines": "watchkeeper_agent_queue_lines",
    "dropped_lines": "watchkeeper_agent_dropped_lines",
    "sources": "watchkeeper_agent_sources",
    "failing": "watchkeeper_agent_sources_failing",
    "refused": "watchkeeper_agent_sources_refused",
    "dropped_samples": "watchkeeper_agent_dropped_samples",
    "refused_samples": "watchkeeper_agent_refused_samples",
    "clock_ahead_seconds": "watchkeeper_agent_clock_ahead_seconds",
}
Key = tuple[str, str]


def agents_of(engine: Engine) -> list[dict[str, Any]]:
    """A row for each agent that was heard of within a day, by name and place."""
    now = engine.clock.now()
    heard = _by_agent(engine, f"max by (agent, probe_location) (max_over_time({HEARTBEAT}[{SPAN}]))", now)
    figures = {
        name: _by_agent(engine, f"sum by (agent, probe_location) (last_over_time({series}[{SPAN}]))", now)
        for name, series in FIGURES.items()
    }
    versions = _versions(engine, now)
    return [_row(key, at, now, versions.get(key, ""), figures) for key, at in sorted(heard.items())]


def _row(
    key: Key, heard: float, now: datetime, version: str, figures: Mapping[str, Mapping[Key, float]]
) -> dict[str, Any]:
    lag = max(now.timestamp() - heard, 0.0)
    found = {name: int(values[key]) if key in values else None for name, values in figures.items()}
    state = "silent" if lag > SILENT else "up"
    return {"agent": key[0], "location": key[1], "state": state, "lag_seconds": lag, "version": version, **found}


def _by_agent(engine: Engine, expr: str, now: datetime) -> dict[Key, float]:
    return {_key(series): value for series, value in _asked(engine, expr, now)}


def _versions(engine: Engine, now: datetime) -> dict[Key, str]:
    expr = "max by (agent, probe_location, version) (watchkeeper_agent_info)"
    return {_key(series): label(series, "version") for series, _ in _asked(engine, expr, now)}


def _asked(engine: Engine, expr: str, now: datetime) -> list[tuple[Labels, float]]:
    found = engine.promql.instant(expr, to_ms(now))
    assert isinstance(found, Vector)
    return list(zip(found.series, found.values.tolist(), strict=True))


def _key(series: Labels) -> Key:
    return label(series, "agent"), label(series, "probe_location")
