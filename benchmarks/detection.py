"""What the default detector costs: points a second in a batch, one tick of many series, memory of its state.

    python -m benchmarks.detection [--series 100000] [--batch 120] [--points 20000]

Made-up series of a minute's interval with a daily shape; processor time of this process alone, one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks._figures import Figure, median, show
from detectors.ensemble import Ensemble
from detectors.evaluate import score_batch
from watchkeeper.model import Matrix, labels

MINUTE_MS = 60_000
#: Ticks seen before one is measured: the predictor is solved and every window is full.
SETTLED = 600
#: Ticks measured, and rounds of a batch.
TICKS, ROUNDS = 40, 3


def matrix(series: int, points: int, start: int = 0) -> Matrix:
    at = start + np.arange(points)
    noise = np.random.default_rng(start).normal(0.0, 1.0, (series, points))
    values = 100.0 + 20.0 * np.sin(at * 2 * np.pi / 1440) + noise
    return Matrix(
        series=tuple(labels("m", row=str(row)) for row in range(series)),
        times=1_700_000_000_000 + at * MINUTE_MS,
        values=values,
        present=np.ones(values.shape, np.bool_),
    )


def batch(series: int, points: int) -> list[float]:
    """Microseconds of processor time of a point, by the function that benchmarks call, of each of ROUNDS rounds."""
    about, whole = {"interval_s": MINUTE_MS // 1000, "warmup": 0}, matrix(series, points)
    jobs = [(whole.times / 1000.0, row, about) for row in whole.values]
    score_batch(jobs[:2])
    spent = []
    for _ in range(ROUNDS):
        started = time.process_time()
        score_batch(jobs)
        spent.append(1e6 * (time.process_time() - started) / (series * points))
    return spent


def ticks(series: int) -> tuple[list[float], float]:
    """(milliseconds of processor time of each tick, bytes of state a series)."""
    detector = Ensemble()
    few = detector.fit(matrix(64, SETTLED))
    state = detector.start(series)
    for name, array in few.rows.items():
        state.rows[name] = np.ascontiguousarray(np.resize(array, (series, *array.shape[1:])))
    state.shared = few.shared
    spent = []
    for at in range(SETTLED, SETTLED + TICKS):
        column = matrix(series, 1, at)
        started = time.process_time()
        state, _ = detector.update(state, column)
        spent.append(1000.0 * (time.process_time() - started))
    return spent, sum(array.nbytes for array in state.rows.values()) / series


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000, help="of one tick")
    parser.add_argument("--batch", type=int, default=120, help="series scored over all their points at once")
    parser.add_argument("--points", type=int, default=20_000, help="of each of those")
    asked = parser.parse_args()
    points = batch(asked.batch, asked.points)
    spent, size = ticks(asked.series)
    figures = [
        Figure(f"a point of {asked.batch} series at once, median", median(points), "us", 1.0),
        Figure("points a second a core, best round", 1.0 / min(points), "M"),
        Figure(f"one tick of {asked.series:,} series, median", median(spent), "ms", 100.0),
        Figure("the same, slowest", max(spent), "ms"),
        Figure("state of one series", size / 1024.0, "KiB", 4.0),
    ]
    return show("detection", figures)


if __name__ == "__main__":
    sys.exit(main())
