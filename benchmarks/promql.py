"""What questions and rules cost, beside a real Prometheus and a real VictoriaMetrics over the same samples.

    python -m benchmarks.promql [matrix] [rate] [instant] [busy] [rules] [regex] [--rounds N] [--alone]

Without names all of them run; ``--alone`` leaves the peers out of questions.

Peers are asked over HTTP on loopback and answer JSON; ours answers in this process, and
its JSON is made too where the row says so. The three take turns, round after round; a figure is the median of rounds.
CPU is user and system time of the process that answers. The largest relative difference is that to Prometheus.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import _promql_regex, _promql_rules
from benchmarks._figures import Figure, median, show
from benchmarks._peers import Peer, peers
from benchmarks._promql_estate import feed, fill, sources
from watchkeeper.model import Matcher, MatchOp
from watchkeeper.promql import Engine, RangeMatrix, Vector
from watchkeeper.promql.encode import Encoder
from watchkeeper.store.samples import EmbeddedStore

HOUR_MS = 3_600_000
RATE = "sum by (x) (rate(m0_total[5m]))"
INSTANT = "rate(wide_total[5m])"
#: Series of each metric on each of ten targets.
METRICS = {"m0_total": 100, "wide_total": 1000, "gauge": 400}
ALL = ("matrix", "rate", "instant", "busy", "rules", "regex")


def main(arguments: Sequence[str]) -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("names", nargs="*", choices=[[], *ALL])
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--alone", action="store_true")
    options = asked.parse_args(arguments)
    names = options.names or ALL
    code = 0
    with tempfile.TemporaryDirectory() as text:
        if {"matrix", "rate", "instant", "busy"} & set(names):
            code |= _questions(Path(text), names, options.rounds, alone=options.alone)
        if "rules" in names:
            code |= show("1,000 alerting rules over 100,000 series", _promql_rules.measure(Path(text), options.rounds))
        if "regex" in names:
            code |= show("label regex over 1,000,000 series", _promql_regex.measure(options.rounds))
    return code


def _questions(folder: Path, names: Sequence[str], rounds: int, *, alone: bool) -> int:
    end = int(time.time() * 1000) // 60_000 * 60_000
    estate = sources(10, METRICS, 6 * 240 + 40, end_ms=end)
    store, _ = fill(folder, estate)
    engine, code = Engine(store), 0
    if "matrix" in names:
        code |= show("1,000 series x 1 h as a dense matrix", _matrix(store, end, rounds))
    if "busy" in names:
        code |= show("rules while pages ask much", _promql_rules.while_busy(store, end, rounds))
    if {"rate", "instant"} & set(names):
        with nullcontext(()) if alone else peers(folder) as others:
            for peer in others:
                feed(peer, estate)
            if "rate" in names:
                code |= show(f"{RATE}, 6 h at 60 s", _rate(engine, others, end, rounds))
            if "instant" in names:
                code |= show(f"{INSTANT}, 10,000 series", _instant(engine, others, end, rounds))
    store.close()
    return code


# --- 1,000 series x 1 h ----------------------------------------------------------------------------------------------


def _matrix(store: EmbeddedStore, end: int, rounds: int) -> list[Figure]:
    """From two blocks, from one and from the head: questions of other words each time, then one again and again."""
    named, words = Matcher("__name__", MatchOp.EQUAL, "m0_total"), count()

    def read(last: int, *more: Matcher) -> None:
        found = store.select([named, *more], last - HOUR_MS + 1, last)
        assert sum(len(one.series) for one in found) == 1000

    def anew(last: int) -> None:
        read(last, Matcher("job", MatchOp.REGEX, f"node|never{next(words)}"))

    edge = (end - 4 * HOUR_MS) // (2 * HOUR_MS) * 2 * HOUR_MS
    places = (("two blocks", edge + HOUR_MS // 2, 5.0), ("one block", edge - 1, 5.0), ("the head", end, 0.5))
    figures = []
    for where, last, bar in places:
        first, again = partial(anew, last), partial(read, last)
        first(), again(), again()
        figures += [
            Figure(f"from {where}, first time", median([wall(first, 1) for _ in range(3 * rounds)]), "ms", bar),
            Figure("  its processor time", median([cpu(first, 1, time.process_time) for _ in range(3 * rounds)]), "ms"),
            Figure(f"from {where}, again", median([wall(again, 5) for _ in range(rounds)]), "ms", bar),
        ]
    return figures


# --- sum by (x) (rate(m[5m])) ----------------------------------------------------------------------------------------


def _rate(engine: Engine, others: Sequence[Peer], end: int, rounds: int) -> list[Figure]:
    start = end - 6 * HOUR_MS

    def ask() -> RangeMatrix:
        return engine.range(RATE, start, end, 60_000)

    span = {"query": RATE, "start": str(start / 1000), "end": str(end / 1000), "step": "60"}
    found = _compare(ask, others, "query_range", span, rounds, times=10)
    for peer in others:
        if peer.name == "Prometheus":
            theirs = {_key(row["metric"]): dict(row["values"]) for row in peer.ask("query_range", **span)}
            found.append(Figure("largest relative difference", _apart(ask(), theirs), "", 1e-9))
    return _with_bars(found, {"Prometheus": 0.35, "VictoriaMetrics": 1.0})


def _instant(engine: Engine, others: Sequence[Peer], end: int, rounds: int) -> list[Figure]:
    def ask() -> Vector:
        answer = engine.instant(INSTANT, end)
        assert isinstance(answer, Vector)
        assert len(answer.series) == 10_000
        return answer

    found = _compare(ask, others, "query", {"query": INSTANT, "time": str(end / 1000)}, rounds, times=5)
    found[0] = Figure(found[0].name, found[0].value, found[0].unit, 5.0)
    for peer in others:
        if peer.name == "Prometheus":
            rows = peer.ask("query", query=f"sum by (x,instance,id) ({INSTANT})", time=str(end / 1000))
            theirs = {_key(row["metric"]): {row["value"][0]: row["value"][1]} for row in rows}
            summed = engine.range(f"sum by (x,instance,id) ({INSTANT})", end, end, 1000)
            found.append(Figure("largest relative difference", _apart(summed, theirs), "", 1e-9))
    return found


# --- taking turns ----------------------------------------------------------------------------------------------------


def _compare(
    ask: Callable[[], Any], others: Sequence[Peer], path: str, parameters: dict[str, str], rounds: int, *, times: int
) -> list[Figure]:
    """CPU ms of one answer: ours, ours with its JSON, and the peers'."""
    ask(), [peer.drain(path, **parameters) for peer in others]
    encode: Encoder = Encoder()
    ours, written, walls = [], [], []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in others}
    their_walls: dict[str, list[float]] = {peer.name: [] for peer in others}
    for _ in range(rounds):
        walls.append(wall(ask, times))
        ours.append(cpu(ask, times, time.process_time))
        written.append(cpu(lambda: encode(ask()), times, time.process_time))
        for peer in others:
            began = time.perf_counter()
            theirs[peer.name].append(cpu(partial(peer.drain, path, **parameters), times, peer.cpu))
            their_walls[peer.name].append((time.perf_counter() - began) / times * 1000)
    found = [
        Figure("ours, CPU", median(ours), "ms"),
        Figure("ours with JSON, CPU", median(written), "ms"),
        Figure("ours, wall", median(walls), "ms"),
    ]
    for peer in others:
        found.append(Figure(f"{peer.name}, CPU", median(theirs[peer.name]), "ms"))
        found.append(Figure(f"{peer.name}, wall", median(their_walls[peer.name]), "ms"))
        found.append(Figure(f"ratio to {peer.name}, CPU", median(written) / median(theirs[peer.name]), "x"))
    return found


def _with_bars(found: Sequence[Figure], bars: dict[str, float]) -> list[Figure]:
    asked = {f"ratio to {name}, CPU": bar for name, bar in bars.items()}
    return [Figure(one.name, one.value, one.unit, asked.get(one.name, one.bar)) for one in found]


def wall(work: Callable[[], object], times: int) -> float:
    """Milliseconds of one run, the mean of ``times``."""
    return cpu(work, times, time.perf_counter)


def cpu(work: Callable[[], object], times: int, clock: Callable[[], float]) -> float:
    began = clock()
    for _ in range(times):
        work()
    return (clock() - began) / times * 1000


# --- equal answers ---------------------------------------------------------------------------------------------------


def _key(metric: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(metric.items()))


def _apart(ours: RangeMatrix, theirs: dict[tuple[tuple[str, str], ...], dict[float, str]]) -> float:
    """The largest relative difference; infinity where one side has a point that the other lacks."""
    if set(ours.series) != set(theirs):
        return math.inf
    worst = 0.0
    for series, values, present in zip(ours.series, ours.values.tolist(), ours.present.tolist(), strict=True):
        expected = {round(moment * 1000): float(value) for moment, value in theirs[series].items()}
        mine = {at: value for at, value, there in zip(ours.times.tolist(), values, present, strict=True) if there}
        if mine.keys() != expected.keys():
            return math.inf
        worst = max([worst, *(_relative(mine[at], expected[at]) for at in mine)])
    return worst


def _relative(a: float, b: float) -> float:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b))


if __name__ == "__main__":
    sys.stderr.write(f"load {os.getloadavg()[0]:.1f}\n")
    sys.exit(main(sys.argv[1:]))
