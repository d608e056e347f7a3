"""What every collector shares: target labels as Prometheus sets them, and ticks with a stable layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import numpy as np
from pydantic import ConfigDict

from watchkeeper.clock import to_ms
from watchkeeper.model import METRIC_NAME, STALE_NAN, Labels, Layout, Tick

#: Options of a collector: an unknown one is a mistake in the user's file, never ignored.
STRICT = ConfigDict(extra="forbid")

#: One reading before target labels: metric name, its own labels in a fixed order, value.
Reading = tuple[str, tuple[tuple[str, str], ...], float]


def target_labels(
    name: str, labels: Mapping[str, str], *, job: str = "", instance: str = "", default_instance: str = ""
) -> dict[str, str]:
    """The labels every series of one target carries: ``job``, ``instance`` and what the owner adds."""
    found = {
        **labels,
        "job": job or labels.get("job", "") or name,
        "instance": instance or labels.get("instance", "") or default_instance,
    }
    return {key: value for key, value in found.items() if value != ""}


def merge_labels(
    name: str, own: Iterable[tuple[str, str]], target: Mapping[str, str], *, honor: bool = False
) -> Labels:
    """Series labels as Prometheus merges them.

    The target's labels win and the source's own become ``exported_<label>``; with ``honor`` the source's win.
    """
    merged = dict(target)
    clashes: list[tuple[str, str]] = []
    for key, value in own:
        if value == "":
            continue
        if key in target and not honor:
            clashes.append((key, value))
        else:
            merged[key] = value
    for key, value in clashes:
        exported = f"exported_{key}"
        while exported in merged:
            exported = f"exported_{exported}"
        merged[exported] = value
    merged[METRIC_NAME] = name
    return tuple(sorted((key, value) for key, value in merged.items() if value != ""))


class Sheet:
    """Readings of one target turned into ticks: the layout is kept while the series stay the same.

    A series that is gone is marked stale in one tick and then dropped. Two readings of one series: the first is
    kept. Beyond ``limit`` known series stay and new ones are refused. What the last tick left out is in ``rejected``.
    """

    def __init__(self, target: str, labels: Mapping[str, str], *, honor: bool = False, limit: int = 100_000) -> None:
        self.target, self._labels, self._honor, self._limit = target, dict(labels), honor, limit
        self._keys: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        self._names: dict[tuple[str, tuple[tuple[str, str], ...]], Labels] = {}
        self._layout = Layout(())
        self.rejected: dict[str, int] = {}  #: reason -> readings left out of the last tick

    def tick(self, now: datetime, readings: Iterable[Reading]) -> Tick:
        """The readings as one tick, followed by the stale marks of series that went away."""
        rows = list(readings)
        keys = [(name, own) for name, own, _ in rows]
        if keys == self._keys and not self.rejected:
            return self._make(now, self._layout, [value for _, _, value in rows])
        return self._changed(now, keys, [value for _, _, value in rows])

    def stale_tick(self, now: datetime) -> Tick | None:
        """Marks every series of the last tick stale, once; None when there is nothing to mark."""
        gone, self._layout, self._keys, self.rejected = self._layout, Layout(()), [], {}
        if not len(gone):
            return None
        return self._make(now, gone, [STALE_NAN] * len(gone))

    def _changed(self, now: datetime, keys: list[tuple[str, tuple[tuple[str, str], ...]]], values: list[float]) -> Tick:
        before = self._layout.series
        self._names = {key: self._names.get(key) or merge_labels(*key, self._labels, honor=self._honor) for key in keys}
        current: dict[Labels, float] = {}
        for key, value in zip(keys, values, strict=True):
            current.setdefault(self._names[key], value)
        counts = {"duplicate": len(values) - len(current), "sample_limit": max(0, len(current) - self._limit)}
        self.rejected = {reason: count for reason, count in counts.items() if count}
        if counts["sample_limit"]:
            old = set(before)
            allowed = sorted(current, key=lambda series: series not in old)[: self._limit]  # known ones first
            current = {series: current[series] for series in allowed}
        self._keys = keys
        if tuple(current) != before:
            self._layout = Layout(tuple(current))
        gone = [series for series in before if series not in current]
        if not gone:
            return self._make(now, self._layout, list(current.values()))
        whole = Layout((*current, *gone))
        return self._make(now, whole, [*current.values(), *[STALE_NAN] * len(gone)])

    def _make(self, now: datetime, layout: Layout, values: list[float]) -> Tick:
        return Tick(target=self.target, time_ms=to_ms(now), layout=layout, values=np.array(values, dtype=np.float64))
