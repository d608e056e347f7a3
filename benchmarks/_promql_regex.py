"""Label matchers over a million series: four labels, 1,000 names, 100 namespaces, 50,000 pods, a million ids."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from benchmarks._figures import Figure, median
from watchkeeper.model import Labels, Matcher, MatchOp
from watchkeeper.store.samples.index import SeriesIndex

SERIES = 1_000_000
#: (what, matchers, bar in ms). The first answer of a pattern, not a kept one.
CASES: tuple[tuple[str, tuple[Matcher, ...], float], ...] = (
    (
        "name and pod regex",
        (Matcher("__name__", MatchOp.EQUAL, "metric_7"), Matcher("pod", MatchOp.REGEX, "pod-00[0-9]+-.*")),
        5,
    ),
    ("pod regex, 50,000 values", (Matcher("pod", MatchOp.REGEX, "pod-0[0-3]1[0-9]+-.*"),), 5),
    ("namespace regex, 3 %", (Matcher("ns", MatchOp.REGEX, "ns-0[0-2]"),), 5),
    ("namespace regex, half", (Matcher("ns", MatchOp.REGEX, "ns-[0-4][0-9]"),), 5),
    ("id regex, 1,000,000 values", (Matcher("id", MatchOp.REGEX, ".*[13579a-c]{2}.*"),), float("nan")),
)  # fmt: skip


def estate() -> list[Labels]:
    """Built pair by pair, so that equal pairs are one object as the store's are."""
    names = [("__name__", f"metric_{n}") for n in range(1000)]
    spaces = [("ns", f"ns-{n:02}") for n in range(100)]
    pods = [("pod", f"pod-{n:05}-x7k2q") for n in range(50_000)]
    return [
        (names[n % 1000], ("id", f"{n * 2654435761 % 2**32:08x}"), spaces[n // 20 % 100], pods[n // 20 % 50_000])
        for n in range(SERIES)
    ]


def measure(rounds: int) -> list[Figure]:
    index = SeriesIndex()
    index.add(estate())
    figures = []
    for what, matchers, bar in CASES:
        taken = [_fresh(index, matchers) for _ in range(rounds)]
        figures.append(Figure(f"{what}: {taken[0][2]:,} hits", median([wall for wall, _, _ in taken]), "ms", bar))
        figures.append(Figure("  its processor time", median([cpu for _, cpu, _ in taken]), "ms"))
        again = median([_wall(partial(index.match, matchers)) for _ in range(rounds)])
        figures.append(Figure("  the same pattern again", again, "ms"))
    return figures


def _fresh(index: SeriesIndex, matchers: tuple[Matcher, ...]) -> tuple[float, float, int]:
    """ms, ms of processor time and hits of a pattern that nobody asked before."""
    index.forget_answers()
    began, used = time.perf_counter(), time.process_time()
    found = index.match(matchers)
    return (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000, len(found)


def _wall(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
