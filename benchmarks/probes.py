"""Ten thousand TCP probes every ten seconds against loopback: how late each begins, and what they cost.

``python -m benchmarks.probes [probes] [seconds]``. The path is the product's own: schedule, probe, ledger, store. The
listener is a process of its own, so that its processor time is not counted.
"""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks._figures import Figure, quantile, show
from collectors.tcp_probe import TcpProbe
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.app.schedule import Scheduler, every
from watchkeeper.clock import SystemClock
from watchkeeper.outbound import Outbound
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.telemetry import Telemetry

INTERVAL = timedelta(seconds=10)
#: The bars: seconds of the 99th percentile, and cores.
LATE, CORES = 0.1, 0.5


def listen(pipe: Connection) -> None:
    """Take connections and close them, until killed."""

    async def serve() -> None:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(close, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def measure(port: int, probes: int, seconds: float, folder: Path) -> tuple[list[float], float, int]:
    """(seconds that each run began after its time, cores, failures)."""
    clock, telemetry = SystemClock(), Telemetry()
    store = EmbeddedStore(folder, clock=clock, retention=timedelta(days=1))
    outbound = Outbound(allow_private=True)
    scheduler = Scheduler(clock, telemetry)
    late: list[float] = []
    failures = 0

    async def nothing(*_: Any) -> None:
        """Scoring is measured elsewhere."""

    collecting = Collecting(store, outbound, telemetry, clock, ThreadPoolExecutor(1), nothing, nothing)
    began = clock.now() + timedelta(seconds=5)

    async def step(source: Source, first: datetime, now: datetime) -> None:
        nonlocal failures
        behind = (clock.now() - first) % INTERVAL
        late.append(behind.total_seconds())
        await collecting.step(source, now)
        failures += not source.reached

    for number in range(probes):
        part = TcpProbe(name=f"p{number}", address=f"127.0.0.1:{port}", instance=f"10.0.{number >> 8}.{number & 255}")
        source = Source(f"p{number}", "tcp_probe", INTERVAL, part, part.target_labels)
        first = began + INTERVAL * (number / probes)
        scheduler.add(f"collect/p{number}", every(INTERVAL, first), functools.partial(step, source, first))
    stop = asyncio.Event()
    running = asyncio.create_task(scheduler.run(stop))
    await asyncio.sleep(max(0.0, (began - clock.now()).total_seconds()) + INTERVAL.total_seconds())
    late.clear()
    used, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    cores, found = (time.process_time() - used) / (time.monotonic() - wall), list(late)
    stop.set()
    await running
    await outbound.aclose()
    store.close()
    return found, cores, failures


def main(arguments: Sequence[str]) -> int:
    probes = int(arguments[0]) if arguments else 10_000
    seconds = float(arguments[1]) if len(arguments) > 1 else 30.0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    mine, theirs = multiprocessing.Pipe()
    listener = multiprocessing.get_context("fork").Process(target=listen, args=(theirs,), daemon=True)
    listener.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            late, cores, failures = asyncio.run(measure(mine.recv(), probes, seconds, Path(folder)))
    finally:
        listener.kill()
    title = f"{probes} probes every {INTERVAL.total_seconds():g} s: {len(late)} in {seconds:g} s, {failures} failed"
    return show(
        title,
        [
            Figure("lateness of a probe, p99", quantile(late, 0.99), "s", LATE),
            Figure("processor time", cores, "cores", CORES),
            Figure("processor time of a probe", cores * seconds / max(len(late), 1) * 1000, "ms"),
        ],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
