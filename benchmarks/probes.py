"""Ten thousand probes every ten seconds against loopback: how late each begins, and what they cost.

``python -m benchmarks.probes [probes] [seconds] [tcp|http]``. The path is the product's own: schedule, probe, ledger,
store. The listener is a process of its own, so that its processor time is not counted.
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
from collectors.http_probe import HttpProbe
from collectors.http_steps import Step
from collectors.tcp_probe import TcpProbe
from watchkeeper.app import garbage
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.app.schedule import Every, Scheduler, reading
from watchkeeper.clock import SystemClock
from watchkeeper.outbound import Outbound
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.telemetry import Telemetry

INTERVAL = timedelta(seconds=10)
#: The bars: seconds of the 99th percentile, and cores.
LATE, CORES = 0.1, 0.5


#: What a health endpoint says.
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"status":"up"}'


class Listener(asyncio.Protocol):
    """Takes a connection; answers what is asked, if anything is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)
            if b"connection: close" in data.lower():
                self._transport.close()


def listen(pipe: Connection) -> None:
    """Until killed."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Listener, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def source_of(kind: str, number: int, port: int) -> Source:
    name, instance = f"p{number}", f"10.0.{number >> 8}.{number & 255}"
    if kind == "tcp":
        tcp = TcpProbe(name=name, address=f"127.0.0.1:{port}", instance=instance)
        return Source(name, "tcp_probe", INTERVAL, tcp, tcp.target_labels)
    step = Step(name="health", url=f"http://127.0.0.1:{port}/health", expect_json={"status": "up"})
    http = HttpProbe(name=name, steps=[step], instance=instance)
    return Source(name, "http_probe", INTERVAL, http, http.target_labels)


async def measure(port: int, probes: int, seconds: float, folder: Path, kind: str) -> tuple[list[float], float, int]:
    """(seconds that each run began after its time, cores, failures)."""
    clock, telemetry = SystemClock(), Telemetry()
    store = EmbeddedStore(folder, clock=clock, retention=timedelta(days=1))
    outbound = Outbound(allow_private=True)
    scheduler = Scheduler(clock, telemetry)
    garbage.settle(scheduler)
    begun: list[tuple[datetime, datetime]] = []  #: each run's begin, and the first time it was due
    failures = 0

    async def nothing(*_: Any) -> None:
        """Scoring is measured elsewhere."""

    collecting = Collecting(store, outbound, telemetry, clock, ThreadPoolExecutor(1), nothing, nothing)

    async def step(source: Source, first: datetime, now: datetime) -> None:
        nonlocal failures
        begun.append((clock.now(), first))
        await collecting.step(source, now)
        failures += not source.reached

    sources = [source_of(kind, number, port) for number in range(probes)]
    for source in sources:
        trigger = reading(source.name, INTERVAL, clock.now(), sources=probes)
        assert isinstance(trigger, Every)
        scheduler.add(f"collect/{source.name}", trigger, functools.partial(step, source, trigger.start))
    stop = asyncio.Event()
    running = asyncio.create_task(scheduler.run(stop))
    # a first reading costs more: its series are new
    while any(source.last_at is None for source in sources):  # noqa: ASYNC110 - nobody tells, and a second is early enough
        await asyncio.sleep(1.0)
    await asyncio.sleep(2 * INTERVAL.total_seconds())
    begun.clear()
    failures = 0
    used, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    cores, found = (time.process_time() - used) / (time.monotonic() - wall), list(begun)
    stop.set()
    await running
    await outbound.aclose()
    store.close()
    return [((at - first) % INTERVAL).total_seconds() for at, first in found], cores, failures


def main(arguments: Sequence[str]) -> int:
    probes = int(arguments[0]) if arguments else 10_000
    seconds = float(arguments[1]) if len(arguments) > 1 else 30.0
    kind = arguments[2] if len(arguments) > 2 else "tcp"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    mine, theirs = multiprocessing.Pipe()
    listener = multiprocessing.get_context("fork").Process(target=listen, args=(theirs,), daemon=True)
    listener.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            late, cores, failures = asyncio.run(measure(mine.recv(), probes, seconds, Path(folder), kind))
    finally:
        listener.kill()
    title = (
        f"{probes} {kind} probes every {INTERVAL.total_seconds():g} s: {len(late)} in {seconds:g} s, {failures} failed"
    )
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
