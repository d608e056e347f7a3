"""A thousand alerting rules over a hundred thousand series, every 15 seconds, beside Prometheus with the same file.

A hundred targets with a thousand series each; every rule looks at one or two metrics of all targets, so at a hundred
series or more. Half are thresholds, the others rates, ratios and sums. One in fifty fires for one target.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks._figures import Figure, median
from benchmarks._peers import Peer, peers
from benchmarks._promql_estate import STEP_MS, Source, feed, fill
from rules.evaluate import Evaluator
from rules.load import load_text
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.clock import ManualClock, from_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Layout, Tick, labels
from watchkeeper.promql import Engine, Gate
from watchkeeper.store.samples import EmbeddedStore

TARGETS, METRICS, RULES, GROUPS = 100, 1000, 1000, 20
ROWS = 60
#: Prometheus evaluates over samples sent ahead of time: half of them lie in its future.
AHEAD = 30


def measure(folder: Path, rounds: int) -> list[Figure]:
    now = int(time.time() * 1000) // STEP_MS * STEP_MS
    estate = _estate(now + AHEAD * STEP_MS)
    file = folder / "rules.yml"
    file.write_text(json.dumps({"groups": _groups()}))
    theirs, firing = _prometheus(folder, file, estate)
    store, clock = fill(folder / "ours", [_first(source) for source in estate])
    seconds, alerts, ticks = _ours(store, clock, estate, file.read_text(), rounds)
    store.close()
    share = median(seconds) / (STEP_MS / 1000) * 100
    found = [
        Figure("ours, one evaluation of all rules, CPU", median(seconds) * 1000, "ms"),
        Figure("ours, slowest of them", max(seconds) * 1000, "ms"),
        Figure("ours, share of a core", share, "%", 15.0),
        Figure("alerts, ours", alerts, ""),
        Figure("samples written by rules, ours", ticks, ""),
    ]
    if theirs:
        found.append(Figure("Prometheus, share of a core", theirs * 100, "%"))
        found.append(Figure("alerts, Prometheus", firing, ""))
        found.append(Figure("ratio to Prometheus", share / theirs / 100, "x"))
    return found


def _estate(end: int) -> list[Source]:
    random, found = np.random.default_rng(11), []
    for number in range(TARGETS):
        layout = Layout(
            tuple(labels(metric(place), job="app", instance=f"host{number:03}:9100") for place in range(METRICS))
        )
        times = end - STEP_MS * np.arange(ROWS + AHEAD - 1, -1, -1) - 149 * number
        steps = random.integers(0, 50, (ROWS + AHEAD, METRICS)).astype(np.float64)
        values = np.where(np.arange(METRICS) % 2 == 0, 1000 + np.cumsum(steps, axis=0), steps)
        values[:, 1::100] += 1000.0 * (number == 7)  # what fires
        found.append(Source(f"app{number}", layout, times.astype(np.int64), values))
    return found


def metric(place: int) -> str:
    return f"app_m{place}_total" if place % 2 == 0 else f"app_m{place}"


def _first(source: Source) -> Source:
    return Source(source.name, source.layout, source.times[:ROWS], source.values[:ROWS])


def _groups() -> list[dict[str, object]]:
    rules = [
        {
            "alert": f"Rule{number}",
            "expr": _expr(number),
            "for": "30s",
            "labels": {"severity": "warning"},
            "annotations": {"summary": "{{ $labels.instance }} is at {{ $value }}"},
        }
        for number in range(RULES)
    ]
    each = RULES // GROUPS
    return [{"name": f"group{n}", "interval": "15s", "rules": rules[n * each : (n + 1) * each]} for n in range(GROUPS)]


def _expr(number: int) -> str:
    gauge, counter = f"app_m{number // 2 * 2 + 1}", f"app_m{number // 2 * 2}_total"
    return [
        f"{gauge} > 900",
        f"rate({counter}[5m]) > 900",
        f"{gauge} > 950",
        f"{gauge} / on(instance) {counter} > 900",
        f"{gauge} > 980",
        f"sum by (job) (rate({counter}[5m])) > 1e9",
        f"{gauge} < 0",
        f"avg_over_time({gauge}[2m]) > 900",
        f"{gauge} == 12345",
        f"increase({counter}[5m]) < 0",
    ][number % 10]


def _prometheus(folder: Path, file: Path, estate: Sequence[Source]) -> tuple[float, float]:
    """(share of a core over a minute of evaluations, alerts); nothing else happens in that minute."""
    with peers(folder, rules=file, only="Prometheus") as found:
        if not found:
            return 0.0, 0.0
        peer: Peer = found[0]
        feed(peer, estate)
        time.sleep(40)
        before, began = peer.cpu(), time.monotonic()
        time.sleep(60)
        share = (peer.cpu() - before) / (time.monotonic() - began)
        rows = peer.ask("query", query='count(ALERTS{alertstate="firing"})')
        return share, float(rows[0]["value"][1]) if rows else 0.0


def _ours(
    store: EmbeddedStore, clock: ManualClock, estate: Sequence[Source], text: str, rounds: int
) -> tuple[list[float], int, int]:
    """CPU seconds per evaluation of every group, what rules record appended as the engine does."""
    book = load_text(text, "rules.yml", interval=timedelta(milliseconds=STEP_MS))
    evaluator, ask = Evaluator(book), Ask(Engine(store))
    taken, written = [], 0
    for turn in range(rounds + 3):
        for source in estate:
            at, row = int(source.times[ROWS + turn]), source.values[ROWS + turn]
            store.append(Tick(target=source.name, time_ms=at, layout=source.layout, values=row))
        clock.advance(timedelta(milliseconds=STEP_MS))
        began = time.process_time()
        for group in book.groups:
            result = evaluator.evaluate_group(group, clock.now(), ask)
            assert not result.failures
            written += sum(len(tick.values) for tick in result.ticks)
            for tick in result.ticks:
                store.append(tick)
        taken.append(time.process_time() - began)
    return taken[3:], len(evaluator.active()), written


def while_busy(store: EmbeddedStore, end_ms: int, rounds: int) -> list[Figure]:
    """Wall time of a group of twenty rules: alone, and while a hundred threads ask for six hours of rates each."""
    gate = Gate(waiting=100)
    pages, ask = Engine(store, gate=gate), Ask(Engine(store, gate=gate, urgent=True))
    rules = [f"rate(wide_total[5m]) > {1e6 + number}" for number in range(20)]
    stop, asked, refused = threading.Event(), [0], [0]

    def page() -> None:
        while not stop.is_set():
            try:
                pages.range("sum by (x) (rate(wide_total[5m]))", end_ms - 6 * 3_600_000, end_ms, 60_000)
                asked[0] += 1
            except QueryError:
                refused[0] += 1

    def group() -> float:
        began = time.perf_counter()
        with ask.promql.ahead():
            for rule in rules:
                ask(rule, from_ms(end_ms))
        return (time.perf_counter() - began) * 1000

    group()
    alone = [group() for _ in range(rounds)]
    crowd = [threading.Thread(target=page, daemon=True) for _ in range(100)]
    for thread in crowd:
        thread.start()
    busy = []
    for _ in range(4 * rounds):
        time.sleep(1.0)
        busy.append(group())
    stop.set()
    for thread in crowd:
        thread.join()
    return [
        Figure("twenty rules alone", median(alone), "ms"),
        Figure("while 100 heavy questions are asked", median(busy), "ms"),
        Figure("  the slowest", max(busy), "ms", 5000.0),
        Figure("  questions answered meanwhile", asked[0], ""),
        Figure("  questions that timed out in the line", refused[0], ""),
    ]
