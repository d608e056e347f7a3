"""Bytes per sample, encode and read speed of the sample store, on a synthetic mix of exporter series.

    python -m benchmarks.bytes_per_sample [series] [targets]

The mix is the one the store was chosen with: 28 % integer counters, 12 % CPU-second counters, 12 % constants, 14 %
page-multiple gauges, 8 % full-entropy ratios, 12 % rarely moving counters, 5 % one-decimal gauges, 5 % queue depths,
4 % byte counters with a reset; 15 s interval with 1 % jitter, the two hours of one block.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import Layout, Matcher, MatchOp, Tick, labels
from watchkeeper.model.series import FloatArray
from watchkeeper.store.samples import EmbeddedStore

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 479
#: Bytes per sample that no codec can go below on this mix, by the distributions drawn from.
ENTROPY = 1.28


def mix(random: np.random.Generator, size: int, rows: int) -> FloatArray:
    """values[series, time]."""

    def steps(high: int) -> FloatArray:
        return np.cumsum(random.integers(0, high, rows)).astype(np.float64)

    makers = [
        (0.28, lambda: steps(int(random.integers(2, 3000)))),
        (0.12, lambda: np.round(steps(1500) / 100 + float(random.integers(0, 10**6)), 2)),
        (0.12, lambda: np.full(rows, float(random.integers(0, 10**6)))),
        (0.14, lambda: (random.integers(10**5, 10**6) + np.cumsum(random.integers(-20, 21, rows))) * 4096.0),
        (0.08, lambda: random.random(rows)),
        (0.12, lambda: np.cumsum(random.random(rows) < 0.02).astype(np.float64)),
        (0.05, lambda: np.round(50 + np.cumsum(random.normal(0, 0.3, rows)), 1)),
        (0.05, lambda: random.poisson(3, rows).astype(np.float64)),
        (0.04, lambda: steps(10**6) - (np.arange(rows) > rows // 2) * 1e6),
    ]
    weights = np.array([weight for weight, _ in makers])
    picks = random.choice(len(makers), size=size, p=weights / weights.sum())
    return np.stack([makers[pick][1]() for pick in picks])


def measure(series: int, targets: int, directory: Path) -> dict[str, float]:
    random, clock = np.random.default_rng(1), ManualClock(START)
    store = EmbeddedStore(directory, clock=clock)
    each = series // targets
    layouts = [
        Layout(
            tuple(
                labels(f"metric_{place % 200}_total", job="node", instance=f"host{number}:9100", cpu=str(place // 200))
                for place in range(each)
            )
        )
        for number in range(targets)
    ]
    values = [np.ascontiguousarray(mix(random, each, ROWS).T) for _ in range(targets)]
    samples = each * targets * ROWS
    appended = time.process_time()
    for row in range(ROWS):
        clock.advance(timedelta(seconds=15))
        for number, layout in enumerate(layouts):
            at = to_ms(clock.now()) + int(random.integers(-75, 76))
            store.append(Tick(target=f"host{number}", time_ms=at, layout=layout, values=values[number][row]))
    appended = time.process_time() - appended
    log_bytes = store.stats()["log_bytes"]
    clock.advance(timedelta(hours=4))
    cut = time.process_time()
    store.maintain(clock.now())
    cut = time.process_time() - cut
    figures = {
        "append_us_per_sample": appended / samples * 1e6,
        "log_bytes_per_sample": log_bytes / samples,
        "entropy_bytes_per_sample": ENTROPY,
        "block_bytes_per_sample": store.stats()["block_bytes"] / samples,
        "seal_and_cut_m_samples_per_second": samples / cut / 1e6,
        "read_one_series_2h_ms": _read(
            store,
            [
                Matcher("__name__", MatchOp.EQUAL, "metric_7_total"),
                Matcher("cpu", MatchOp.EQUAL, "0"),
                Matcher("instance", MatchOp.EQUAL, "host0:9100"),
            ],
            7200,
        ),
        "read_one_target_1h_ms": _read(store, [Matcher("instance", MatchOp.EQUAL, "host0:9100")], 3600),
    }
    store.close()
    return figures


def _read(store: EmbeddedStore, matchers: list[Matcher], seconds: int) -> float:
    """Best of 5 reads from the block, in ms."""
    end = to_ms(START + timedelta(hours=2))
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        found = store.select(matchers, end - seconds * 1000, end)
        taken.append((time.perf_counter() - start) * 1000)
        assert found
    return min(taken)


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:3]]
    with tempfile.TemporaryDirectory() as place:
        result = measure(counts[0] if counts else 5000, counts[1] if len(counts) > 1 else 5, Path(place))
    print(json.dumps({name: round(value, 4) for name, value in result.items()}, indent=2))
