"""Series that come and go: memory follows what is active, and what has gone is still found."""

from __future__ import annotations

import gc
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.samples import EVER, NOON, SMALL

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import Labels, Layout, Matcher, MatchOp, Tick, labels
from watchkeeper.store.samples import EmbeddedStore, Sizes
from watchkeeper.store.samples.catalogue import IDLE_ROUNDS


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


def pod(text: str) -> list[Matcher]:
    return [Matcher("pod", MatchOp.EQUAL, text)]


def test_the_index_holds_what_is_active_and_old_series_are_found_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.store.samples.catalogue.FORGET_FROM", 20)
    clock = ManualClock(NOON)
    store = EmbeddedStore(tmp_path, clock=clock, sizes=SMALL, block_span=timedelta(minutes=30))
    fleet = Fleet(store, clock, targets=4, series=50, fresh=5)
    known = []
    for _ in range(60):
        fleet.hour(ticks=6)
        known.append(store.stats()["series"])
    assert max(known[10:]) <= 2 * 4 * 50  # of 1,400 in all
    (first,) = store.select(pod("pod-0-00000000"), *EVER)
    assert (len(first.times), len(first.series)) == (60 * 6, 1)
    assert first.present.sum() == 6  # the one hour it lived
    assert len(store.series([], *EVER)) == 4 * (50 + 59 * 5)
    assert store.stats()["series"] == 4 * (50 + 59 * 5)
    for _ in range(IDLE_ROUNDS + 2):  # nobody asks any more
        store.maintain(clock.now())
    assert store.stats()["series"] <= 2 * 4 * 50
    (again,) = store.select(pod("pod-0-00000000"), *EVER)
    assert again.values.tobytes() == first.values.tobytes()
    store.close()
    store = EmbeddedStore(tmp_path, clock=clock, sizes=SMALL, block_span=timedelta(minutes=30))
    assert store.stats()["series"] <= 2 * 4 * 50  # nor does a restart read what nobody asks for
    (after,) = store.select(pod("pod-0-00000000"), *EVER)
    assert after.values.tobytes() == first.values.tobytes()
    store.close()


def churn(directory: Path, hours: int, *, targets: int = 100, series: int = 1000, fresh: int = 50) -> list[int]:
    """Resident bytes after each hour: 100,000 active series, 5 % new an hour."""
    clock = ManualClock(NOON)
    store = EmbeddedStore(directory, clock=clock, sizes=Sizes())
    fleet = Fleet(store, clock, targets, series, fresh)
    process, sizes = psutil.Process(), []
    for hour in range(hours):
        fleet.hour(ticks=4)
        gc.collect()
        sizes.append(process.memory_info().rss)
        if hour % 10 == 9:
            figures = store.stats()
            print(f"hour {hour + 1}: {sizes[-1] >> 20} MiB, {figures['series']} series known", flush=True)
    store.close()
    return sizes


@pytest.mark.long
def test_a_million_series_cost_no_more_memory_than_a_hundred_thousand(tmp_path: Path) -> None:
    sizes = churn(tmp_path, hours=181)  # 100,000 + 180 x 5,000
    assert max(sizes[-20:]) < 1.2 * max(sizes[10:30])
