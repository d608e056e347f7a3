"""Events of Kubernetes as log lines, each occurrence once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from watchkeeper.clock import to_ms
from watchkeeper.model import LogBatch
from watchkeeper.model.log import SEVERITY_CODES

from .base import Reading

Object = Mapping[str, Any]


class Events:
    """Remembers what was listed. The first list only says what is old, so that a restart tells nothing twice."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self._own = dict(own)
        self._seen: set[tuple[str, int]] | None = None
        self._told: dict[str, int] = {"Normal": 0, "Warning": 0}

    def lines(self, items: Sequence[Object], now: datetime) -> list[LogBatch]:
        """What is new or has come again, oldest first, a batch for each namespace."""
        keyed = {_key(item): item for item in items}
        before, self._seen = self._seen, set(keyed)
        if before is None:
            return []
        fresh = sorted((item for key, item in keyed.items() if key not in before), key=lambda item: _where(item)[1])
        for item in fresh:
            kind = "Warning" if item.get("type") == "Warning" else "Normal"
            self._told[kind] += 1
        return [self._batch(space, list(some), now) for space, some in groupby(fresh, lambda item: _where(item)[1])]

    def readings(self) -> list[Reading]:
        """Events told since start, by type."""
        return [("watchkeeper_kubernetes_events_total", (("type", kind),), float(n)) for kind, n in self._told.items()]

    def _batch(self, space: str, items: list[Object], now: datetime) -> LogBatch:
        timed = sorted(((_time(item, now), item) for item in items), key=lambda pair: pair[0])
        own = {**self._own, "namespace": space}
        codes = [SEVERITY_CODES["warning" if item.get("type") == "Warning" else "info"] for _, item in timed]
        labels = tuple(sorted((key, text) for key, text in own.items() if text))
        return LogBatch.of(labels, [_text(item) for _, item in timed], [time for time, _ in timed], codes)


def _where(item: Object) -> tuple[str, str, str]:
    about = item.get("involvedObject") or {}
    return str(about.get("kind") or ""), str(about.get("namespace") or ""), str(about.get("name") or "")


def _text(item: Object) -> str:
    named = "/".join(part for part in _where(item) if part)
    return f"{item.get('reason') or ''} {named}: {str(item.get('message') or '').strip()}"


def _key(item: Object) -> tuple[str, int]:
    about, series = item.get("metadata") or {}, item.get("series") or {}
    return str(about.get("uid") or about.get("name") or ""), int(series.get("count") or item.get("count") or 1)


def _time(item: Object, now: datetime) -> int:
    """ms since the epoch; now where it states none."""
    series = item.get("series") or {}
    stated = series.get("lastObservedTime") or item.get("lastTimestamp") or item.get("eventTime")
    return to_ms(datetime.fromisoformat(str(stated)) if stated else now)
