"""The same samples in our store and in the peers: targets that are scraped every 15 seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks._peers import Peer
from watchkeeper.clock import ManualClock, from_ms
from watchkeeper.model import Labels, Layout, Tick, labels
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.store.samples import EmbeddedStore

STEP_MS = 15_000
#: Samples of one series in one request to a peer.
SLICE = 120


@dataclass(frozen=True, slots=True)
class Source:
    """One target over the whole span."""

    name: str
    layout: Layout
    times: IntArray
    values: FloatArray  #: [time, series]


def sources(targets: int, metrics: Mapping[str, int], rows: int, *, end_ms: int) -> list[Source]:
    """Targets with so many series of each metric; one named ``_total`` is a counter, the others are gauges."""
    random = np.random.default_rng(7)
    found = []
    for number in range(targets):
        series = tuple(
            labels(metric, job="node", instance=f"host{number:03}:9100", x=str(place % 10), id=f"{place:03}")
            for metric, size in metrics.items()
            for place in range(size)
        )
        jitter = random.integers(-75, 76, rows)
        times = end_ms - STEP_MS * np.arange(rows - 1, -1, -1) - 151 * (number % 90) - 200 + jitter
        counters = [metric.endswith("_total") for metric, size in metrics.items() for _ in range(size)]
        columns = [_column(random, rows, counter=counter) for counter in counters]
        found.append(Source(f"host{number}", Layout(series), times.astype(np.int64), np.stack(columns, axis=1)))
    return found


def _column(random: np.random.Generator, rows: int, *, counter: bool) -> FloatArray:
    if not counter:
        return np.round(50 + np.cumsum(random.normal(0, 0.3, rows)), 1)
    values = np.cumsum(random.integers(0, int(random.integers(2, 3000)), rows)).astype(np.float64) + 100
    if random.random() < 0.1 and rows > 2:  # a restart
        at = int(random.integers(1, rows))
        values[at:] -= values[at - 1]
    return values


def fill(folder: Path, estate: Sequence[Source]) -> tuple[EmbeddedStore, ManualClock]:
    """Everything appended as it came, with the upkeep of every minute."""
    clock = ManualClock(from_ms(int(estate[0].times[0])))
    store = EmbeddedStore(folder / "samples", clock=clock)
    for row in range(len(estate[0].times)):
        clock.advance(timedelta(milliseconds=STEP_MS))
        for source in estate:
            store.append(
                Tick(
                    target=source.name, time_ms=int(source.times[row]), layout=source.layout, values=source.values[row]
                )
            )
        if row % 4 == 3:
            store.maintain(clock.now())
    return store, clock


def feed(peer: Peer, estate: Sequence[Source]) -> None:
    """The same in slices of half an hour, all series of a slice before the next slice."""
    for low in range(0, len(estate[0].times), SLICE):
        peer.write(_slice(estate, low, low + SLICE))
    peer.settle()


def _slice(estate: Sequence[Source], low: int, high: int) -> Iterator[tuple[Labels, IntArray, FloatArray]]:
    for source in estate:
        times, values = source.times[low:high], np.ascontiguousarray(source.values[low:high].T)
        yield from ((series, times, values[place]) for place, series in enumerate(source.layout.series))
