"""What samples cost in the embedded store, and on a server behind the remote store: the same samples in each.

    python -m benchmarks.remote_store [--rows 240] [--targets 10] [--series 500]

Targets of ``--series`` each, ``--rows`` ticks 15 s apart, appended as fast as they go, by one engine on loopback. CPU
is user and system time of our process and of the server's; the server's memory is its PSS when all is there; bytes are
its data folder after flush and merge, or Prometheus's write-ahead log and blocks. The questions are asked last: raw
samples of 1,000 series over half an hour, and ``sum by (x) (rate(m_total[5m]))`` over the same, by our own PromQL over
raw samples and pushed down.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks._figures import Figure, pss_bytes, show
from benchmarks._peers import Peer, peers
from benchmarks._promql_estate import STEP_MS, Source, sources
from watchkeeper.clock import ManualClock, from_ms, to_ms
from watchkeeper.model import Matcher, Tick
from watchkeeper.model.series import MatchOp
from watchkeeper.promql import Engine, Pushed
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.remote import Address, RemoteStore, Server

RATE = "sum by (x) (rate(m_total[5m]))"
EMBEDDED = "embedded"
HALF_HOUR_MS = 1_800_000
Store = EmbeddedStore | RemoteStore


def fill(store: Store, clock: ManualClock, estate: Sequence[Source]) -> None:
    for row in range(len(estate[0].times)):
        clock.advance(timedelta(milliseconds=STEP_MS))
        for one in estate:
            store.append(Tick(target=one.name, time_ms=int(one.times[row]), layout=one.layout, values=one.values[row]))
        if row % 4 == 3:
            store.maintain(clock.now())
    store.sync()
    if isinstance(store, RemoteStore) and not store.deliver(600.0):
        sys.exit("the server did not take everything")


class Meter:
    """CPU seconds of ours and of the server since the last look."""

    def __init__(self, server: Peer | None) -> None:
        self._server = server
        self.look()

    def look(self) -> tuple[float, float]:
        last = getattr(self, "_last", (0.0, 0.0))
        self._last = time.process_time(), 0.0 if self._server is None else self._server.cpu()
        return self._last[0] - last[0], self._last[1] - last[1]


def best(meter: Meter, ask: Callable[[], object]) -> tuple[float, float, float]:
    """(wall, our CPU, the server's CPU) of the median of nine, in milliseconds."""
    found = []
    for _ in range(9):
        meter.look()
        started = time.perf_counter()
        ask()
        wall = time.perf_counter() - started
        found.append((wall, *meter.look()))
    return tuple(1000 * sorted(column)[4] for column in zip(*found, strict=True))


def measure(kind: str, folder: Path, estate: Sequence[Source]) -> list[Figure]:
    clock, samples = ManualClock(from_ms(int(estate[0].times[0]))), sum(one.values.size for one in estate)
    with ExitStack() as stack:
        running = [] if kind == EMBEDDED else stack.enter_context(peers(folder, only=kind))
        if kind != EMBEDDED and not running:
            sys.exit(f"there is no {kind} here")
        server = running[0] if running else None
        empty = 0 if server is None else pss_bytes(server.process.pid)
        store: Store = EmbeddedStore(folder / "own", clock=clock)
        if server is not None:
            store.close()
            store = RemoteStore(folder / "own", Server(Address(url=server.url)), clock=clock)
        stack.callback(store.close)
        meter = Meter(server)
        fill(store, clock, estate)
        ours, theirs = meter.look()
        figures = [Figure(f"{kind}: our CPU", 1e6 * ours / samples, "us/sample")]
        if server is not None:
            series = sum(len(one.layout) for one in estate)
            memory = (pss_bytes(server.process.pid) - empty) / series
            figures += [
                Figure(f"{kind}: its CPU", 1e6 * theirs / samples, "us/sample"),
                Figure(f"{kind}: its memory beyond an empty one's", memory, "B/series"),
                Figure(f"{kind}: its memory, empty", empty / 1e6, "MB"),
            ]
        figures += questions(kind, store, clock, meter, server)
        if server is not None:
            figures.append(Figure(f"{kind}: disk", size(kind, server, folder) / samples, "B/sample"))
        return figures


def questions(kind: str, store: Store, clock: ManualClock, meter: Meter, server: Peer | None) -> list[Figure]:
    if server is not None:
        time.sleep(12)  # VictoriaMetrics shows what it took some seconds later
    end = to_ms(clock.now())
    wanted = [Matcher("__name__", MatchOp.EQUAL, "m_total")]
    figures = []
    raw = best(meter, lambda: store.select(wanted, end - HALF_HOUR_MS, end))
    figures += _three(f"{kind}: 1,000 series x half an hour, raw", raw)
    own = Engine(store)
    figures += _three(
        f"{kind}: {RATE}, 30 min at 15 s, our PromQL",
        best(meter, lambda: own.range(RATE, end - HALF_HOUR_MS, end, STEP_MS)),
    )
    if isinstance(store, RemoteStore):
        pushed = Pushed(store, store)
        back = end - 120_000  # what the server answers by itself
        figures += _three(
            f"{kind}: the same, pushed down",
            best(meter, lambda: pushed.range(RATE, back - HALF_HOUR_MS, back, STEP_MS)),
        )
    return figures


def _three(name: str, found: tuple[float, float, float]) -> list[Figure]:
    return [
        Figure(f"{name}: wall", found[0], "ms"),
        Figure(f"{name}: our CPU", found[1], "ms"),
        Figure(f"{name}: its CPU", found[2], "ms"),
    ]


def size(kind: str, server: Peer, folder: Path) -> float:
    place = folder / ("prometheus" if kind == "Prometheus" else "victoria")
    if kind == "VictoriaMetrics":
        for path in ("force_flush", "force_merge"):
            urllib.request.urlopen(f"{server.url}/internal/{path}", timeout=300).close()
        time.sleep(10)
    return float(sum(path.stat().st_size for path in place.rglob("*") if path.is_file()))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--series", type=int, default=500)
    asked = parser.parse_args()
    end_ms = to_ms(datetime.now(UTC)) - 7_200_000
    metrics = {"m_total": 1000 // asked.targets, "g": asked.series - 1000 // asked.targets}
    estate = sources(asked.targets, metrics, asked.rows, end_ms=end_ms)
    figures: list[Figure] = []
    for kind in (EMBEDDED, "Prometheus", "VictoriaMetrics"):
        with tempfile.TemporaryDirectory() as place:
            figures += measure(kind, Path(place), estate)
    return show("The sample store, embedded and on a server", figures)


if __name__ == "__main__":
    sys.exit(main())
