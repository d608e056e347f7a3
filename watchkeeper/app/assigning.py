"""Sources that the engine's file gives to agents: who gets which."""

from __future__ import annotations

from typing import Any

from watchkeeper.config import Config, Source
from watchkeeper.config.types import format_duration

#: Stands for every agent.
EVERYBODY = "*"


def rows_for(config: Config, agent: str, location: str) -> list[dict[str, Any]]:
    """Sources for an agent of that name in that place, as its own file would have them."""
    mine = {agent, location or agent, EVERYBODY}
    return [_row(config, source) for source in config.collect.sources if mine.intersection(source.agents)]


def _row(config: Config, source: Source) -> dict[str, Any]:
    found: dict[str, Any] = {
        **source.options,
        "kind": source.kind,
        "name": source.name,
        "interval": format_duration(source.interval or config.collect.interval),
        "labels": dict(source.labels),
    }
    return found | ({"service": source.service} if source.service else {})
