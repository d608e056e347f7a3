"""Remote write in: processor time of the receiving process beside Prometheus and VictoriaMetrics, and equal answers.

    python benchmarks/remote_write.py [--series 20000] [--ticks 60] [--batch 5000]
    python benchmarks/remote_write.py --minutes 10

The first sends the same packed requests to an engine, a Prometheus and a VictoriaMetrics, one server at a time, and
divides the user and system time of the server by the samples. One series has one sample in a request, as Prometheus
sends them; a third of the values is 0. With ``--minutes`` a real Prometheus scrapes itself and a node_exporter every
second and writes to an engine; then 1,000 raw ranges and a dozen queries are compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.remote_peer import (  # noqa: E402
    engine_process,
    query_differences,
    raw_differences,
    run,
    token_of,
    writing,
)

from benchmarks._figures import Figure, cpu_of, show  # noqa: E402
from benchmarks._peers import peers  # noqa: E402
from watchkeeper.model import labels  # noqa: E402
from watchkeeper.wire import remote_write, snappy  # noqa: E402

HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
#: Ticks sent before the clock starts: series are registered.
WARM_UP = 3


def requests(series: int, ticks: int, batch: int) -> list[list[bytes]]:
    """Packed requests of every tick, 15 s apart and ending now."""
    names = [
        labels(
            f"http_requests_{row % 40}_total", job="shop", instance=f"10.0.{row // 250}.{row % 250}:9100",
            method="GET", path=f"/api/v{row % 7}/orders", code=str(200 + row % 5),
        )
        for row in range(series)
    ]  # fmt: skip
    blocks, chance = [remote_write.label_block(one) for one in names], np.random.default_rng(1)
    values = np.where(np.arange(series) % 3 == 0, 0.0, chance.integers(0, 1 << 20, series).astype(float))
    began = int(time.time()) * 1000 - 15_000 * ticks
    made = []
    for tick in range(ticks):
        values = values + (values > 0) * chance.integers(0, 50, series)
        times = np.full(series, began + 15_000 * tick)
        made.append(
            [
                snappy.compress(remote_write.encode(blocks[low : low + batch], times[low : low + batch], part))
                for low in range(0, series, batch)
                for part in (values[low : low + batch],)
            ]
        )
    return made


def post(url: str, bodies: Sequence[bytes], headers: Mapping[str, str]) -> None:
    for body in bodies:
        request = urllib.request.Request(url, body, {**HEADERS, **headers})
        urllib.request.urlopen(request, timeout=120).close()


def measured(pid: int, url: str, ticks: Sequence[Sequence[bytes]], samples: int, headers: Mapping[str, str]) -> float:
    """Microseconds of processor time a sample."""
    for bodies in ticks[:WARM_UP]:
        post(url, bodies, headers)
    before = cpu_of(pid)
    for bodies in ticks[WARM_UP:]:
        post(url, bodies, headers)
    return 1e6 * (cpu_of(pid) - before) / samples


def throughput(series: int, ticks: int, batch: int) -> int:
    made = requests(series, ticks, batch)
    samples = series * (ticks - WARM_UP)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with engine_process(folder) as engine:
            headers = {"Authorization": f"Bearer {token_of(folder)}"}
            pid = engine.process.pid
            ours = measured(pid, f"{engine.url}/api/v1/write", made, samples, headers)
        figures = [Figure("Watchkeeper, durable before the answer", ours, "us/sample")]
        with peers(folder) as running:
            for peer in running:
                theirs = measured(peer.process.pid, peer.url + peer.write_path, made, samples, {})
                figures.append(Figure(peer.name, theirs, "us/sample"))
                bar = 1.0 if peer.name == "Prometheus" else float("nan")
                figures.append(Figure(f"ours to {peer.name}", ours / theirs, "times", bar))
    figures.insert(1, Figure("samples a second and core", 1 / ours, "million"))
    return show(f"remote write in: {series} series x {ticks - WARM_UP} ticks, {batch} samples a request", figures)


def equality(minutes: float) -> int:
    with tempfile.TemporaryDirectory() as name, writing(Path(name)) as found:
        began, end = run(found, 60 * minutes)
        raw = raw_differences(found, began, end, 1000, seed=1)
        asked = query_differences(found, began, end)
        sys.stdout.writelines(f"  {line}\n" for line in [*raw[:10], *asked])
        figures = [Figure("1,000 raw ranges, different", len(raw), "ranges", 0.0)]
        figures.append(Figure("queries over a grid, different", len(asked), "queries", 0.0))
    return show(f"remote write of a real Prometheus for {minutes:g} min", figures)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--ticks", type=int, default=60)
    parser.add_argument("--batch", type=int, default=5000)
    parser.add_argument("--minutes", type=float, help="compare a real Prometheus with what it wrote")
    chosen = parser.parse_args(arguments)
    if chosen.minutes:
        return equality(chosen.minutes)
    return throughput(chosen.series, chosen.ticks, chosen.batch)


if __name__ == "__main__":
    sys.exit(main())
