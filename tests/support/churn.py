"""Series that come and go, as pods do: so many active, some of them replaced every hour."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
from support.samples import NOON

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import Labels, Layout, Tick, labels
from watchkeeper.store.samples import EmbeddedStore, Sizes


class Fleet:
    """Targets whose series are replaced little by little."""

    def __init__(self, store: EmbeddedStore, clock: ManualClock, targets: int, series: int, fresh: int) -> None:
        self._store, self._clock, self._fresh, self._next = store, clock, fresh, series
        self._names = [[self._one(target, place) for place in range(series)] for target in range(targets)]

    def _one(self, target: int, number: int) -> Labels:
        return labels(
            "container_memory_bytes", namespace=f"ns{target}", pod=f"pod-{target}-{number:08d}", node=f"n{number % 7}"
        )

    def hour(self, ticks: int) -> None:
        """One hour; then the oldest series of every target end and new ones begin."""
        layouts = [Layout(tuple(names)) for names in self._names]
        for _ in range(ticks):
            at = to_ms(self._clock.advance(3600 / ticks))
            for target, layout in enumerate(layouts):
                values = np.arange(len(layout), dtype=np.float64) + at
                self._store.append(Tick(target=f"t{target}", time_ms=at, layout=layout, values=values))
            self._store.maintain(self._clock.now())
        for target, names in enumerate(self._names):
            del names[: self._fresh]
            names += [self._one(target, self._next + place) for place in range(self._fresh)]
        self._next += self._fresh


def churn(directory: Path, hours: int, *, targets: int = 100, series: int = 1000, fresh: int = 50) -> list[int]:
    """Resident bytes of the process's own after each hour: 100,000 active series, 5 % new an hour.

    Pages of mapped blocks are the system's cache and not counted: they grow with the disk and go when memory is short.
    """
    clock = ManualClock(NOON)
    store = EmbeddedStore(directory, clock=clock, sizes=Sizes())
    fleet = Fleet(store, clock, targets, series, fresh)
    process, sizes = psutil.Process(), []
    for hour in range(hours):
        fleet.hour(ticks=4)
        gc.collect()
        found = process.memory_info()
        sizes.append(found.rss - found.shared)
        if hour % 10 == 9:
            figures = store.stats()
            print(
                f"hour {hour + 1}: {sizes[-1] >> 20} MiB and {found.shared >> 20} MiB of mapped files, "
                f"{figures['series']} series known",
                flush=True,
            )
    store.close()
    return sizes
