"""The engine watches itself: its own registry as one more source, without a detour over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import numpy as np
from prometheus_client import CollectorRegistry

from collectors.base import merge_labels
from watchkeeper.clock import to_ms
from watchkeeper.model import Labels, Layout, Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected


class OwnMetrics:
    """A collector over a prometheus_client registry."""

    def __init__(self, registry: CollectorRegistry, pairs: dict[str, str], refresh: Callable[[], object]) -> None:
        self.registry, self.pairs, self._refresh = registry, pairs, refresh
        self._layout = Layout(())
        self._names: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - reads itself
        await asyncio.to_thread(self._refresh)
        names: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        values: list[float] = []
        for family in self.registry.collect():
            for sample in family.samples:
                if not sample.name.endswith(("_created", "_bucket")):
                    names.append((sample.name, tuple(sample.labels.items())))
                    values.append(float(sample.value))
        if tuple(names) != self._names:
            self._names = tuple(names)
            self._layout = Layout(tuple(self._series(name, own) for name, own in names))
        tick = Tick(
            target="own/metrics", time_ms=to_ms(now), layout=self._layout, values=np.array(values, dtype=np.float64)
        )
        return Collected(ticks=(tick,))

    def _series(self, name: str, own: tuple[tuple[str, str], ...]) -> Labels:
        return merge_labels(name, own, self.pairs)

    async def close(self) -> None:
        """Nothing is held."""
