"""CPU per sample of scraping into the embedded store, beside a real Prometheus on the same target at the same time.

    python -m benchmarks.scrape_cpu [seconds] [series] [--any-order]

With ``--any-order`` every body has its lines in another order. One process serves 16 rotating bodies of about 103 bytes
a line; one scrapes them every 2 s with the ``openmetrics`` collector and appends to an EmbeddedStore; Prometheus
scrapes the same address. Each figure is user and system time of the one process over the same window, divided by the
samples it stored in it. Scoring is another thread of the engine and no part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks._figures import Figure, show
from collectors.openmetrics import Openmetrics
from watchkeeper.clock import SystemClock
from watchkeeper.outbound import Outbound

BODIES = 16
#: Scrapes before the window opens: series are registered and the template is learnt.
WARM_UP = 4
#: Seconds between scrapes, and Prometheus's limit for one: its failed scrapes would cost it time without samples.
INTERVAL = 2
#: Share of our samples that Prometheus must have taken in for a comparison to be one.
COMPARABLE = 0.85
#: Most CPU of a sample in microseconds, and most of Prometheus's: in steady order, in any.
BARS = ((0.4, 0.33), (0.9, 0.7))
APPENDED = "prometheus_tsdb_head_samples_appended_total"


def bodies(series: int, *, any_order: bool = False) -> list[bytes]:
    """Pages of one shape with ever new values: counters, gauges and ratios; or each in an order of its own."""
    chance = random.Random(1)
    keys = [
        f'app_component_{n % 50:02}_requests_total{{instance_id="10.0.{n % 200}.{n % 250}",ns="ns-{n % 100:03}",'
        f'pod="pod-{n:07}-x7k2q"}} '
        for n in range(series)
    ]
    made = []
    for turn in range(BODIES):
        lines = []
        for n, key in enumerate(keys):
            kind = n % 10
            value = (
                str(n * 7 + turn * 13 + chance.randrange(9))
                if kind < 4
                else f"{n * 0.37 + turn + chance.randrange(100) / 100:.2f}"
                if kind < 7
                else repr(chance.random())
            )
            lines.append(key + value)
        if any_order:
            chance.shuffle(lines)
        made.append(("# TYPE app_component_00_requests_total counter\n" + "\n".join(lines) + "\n").encode())
    return made


async def serve(port: int, series: int, *, any_order: bool = False) -> None:
    pages = bodies(series, any_order=any_order)
    turn = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            page = pages[turn % BODIES]
            turn += 1
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(page)}\r\n\r\n"
            writer.write(head.encode() + page)
            await writer.drain()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        print("ready", flush=True)
        await server.serve_forever()


async def scrape(url: str, seconds: int, folder: Path) -> None:
    """Scrape at the interval; print "warm" when the window opens and one JSON line when it closes."""
    try:
        from watchkeeper.store.samples import EmbeddedStore
    except ImportError as error:
        sys.exit(f"the embedded sample store cannot be imported yet: {error}")
    clock, outbound = SystemClock(), Outbound(allow_private=True)
    store = EmbeddedStore(folder, clock=clock)
    part = Openmetrics(name="bench", url=url)
    stored, began, walls, sync = 0, 0.0, list[float](), None
    due = time.monotonic()
    for turn in range(WARM_UP + seconds // INTERVAL):
        if turn == WARM_UP:
            print("warm", flush=True)
            stored, began, walls = 0, time.process_time(), []
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += INTERVAL
        at = time.perf_counter()
        found = await part.collect(clock.now(), outbound)
        appended = [store.append(tick) for tick in found.ticks]
        stored += sum(line.stored for line in appended)
        if sync is not None:
            await sync
        sync = asyncio.create_task(asyncio.to_thread(store.sync))  # durable within a second
        walls.append(time.perf_counter() - at)
    if sync is not None:
        await sync
    cpu = time.process_time() - began
    store.close()
    await outbound.aclose()
    print(json.dumps({"cpu": cpu, "samples": stored, "wall_ms": sorted(walls)[len(walls) // 2] * 1000}), flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def appended(url: str) -> float:
    """Samples the Prometheus at ``url`` has taken in, by its own /metrics."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        for line in response.read().decode().splitlines():
            if line.startswith(APPENDED):
                return float(line.rpartition(" ")[2])
    return float("nan")


def start_prometheus(target: int, folder: Path) -> tuple[subprocess.Popen[bytes], str] | None:
    binary = shutil.which("prometheus")
    if binary is None:
        return None
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s}}\n"
        f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
    )
    argv = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    return process, f"http://127.0.0.1:{port}"


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != word:
        sys.exit(f"expected {word!r} of a child, it said {line!r}")


def wait_for_samples(url: str) -> None:
    """Until the Prometheus has taken in its first page: before that it does not say how many samples it has."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            if appended(url) > 0:
                return
        if time.monotonic() > deadline:
            sys.exit(f"{url} has taken in nothing within 30 s")
        time.sleep(0.2)


def compare(seconds: int, series: int, *, any_order: bool = False) -> dict[str, object]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    me = [sys.executable, "-m", "benchmarks.scrape_cpu"]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        order = ["--any-order"] if any_order else []
        server = subprocess.Popen([*me, "serve", str(port), str(series), *order], stdout=subprocess.PIPE, text=True)
        running: list[subprocess.Popen[str] | subprocess.Popen[bytes]] = [server]
        try:
            wait_for(server, "ready")
            theirs = start_prometheus(port, folder)
            if theirs:
                running.append(theirs[0])
                wait_for_samples(theirs[1])
            ours = subprocess.Popen(
                [*me, "scrape", url, str(seconds), str(folder / "store")], stdout=subprocess.PIPE, text=True
            )
            running.append(ours)
            wait_for(ours, "warm")
            before = (cpu_of(theirs[0].pid), appended(theirs[1])) if theirs else (0.0, 0.0)
            assert ours.stdout is not None
            found = json.loads(ours.stdout.readline())
            after = (cpu_of(theirs[0].pid), appended(theirs[1])) if theirs else (0.0, 0.0)
        finally:
            for process in reversed(running):
                process.terminate()
            for process in running:
                process.wait(20)
    result: dict[str, object] = {
        "series": series,
        "order": "another in every body" if any_order else "steady",
        "load": os.getloadavg()[0],
        "seconds": seconds,
        "watchkeeper_us_per_sample": round(found["cpu"] / found["samples"] * 1e6, 3),
        "watchkeeper_samples": found["samples"],
        "watchkeeper_median_scrape_ms": round(found["wall_ms"], 1),
    }
    if theirs:
        taken = (after[1] - before[1]) / found["samples"]
        each = (after[0] - before[0]) / max(1.0, after[1] - before[1]) * 1e6
        result["prometheus_us_per_sample"] = round(each, 3)
        result["prometheus_samples"] = int(after[1] - before[1])
        share = round(found["cpu"] / found["samples"] * 1e6 / each, 3)
        result["share_of_prometheus"] = share if taken >= COMPARABLE else "not comparable: its scrapes failed"
    else:
        result["prometheus"] = "not installed"
    return result


def main(arguments: list[str]) -> None:
    any_order = "--any-order" in arguments
    arguments = [text for text in arguments if text != "--any-order"]
    if arguments[:1] == ["serve"]:
        asyncio.run(serve(int(arguments[1]), int(arguments[2]), any_order=any_order))
    elif arguments[:1] == ["scrape"]:
        asyncio.run(scrape(arguments[1], int(arguments[2]), Path(arguments[3])))
    else:
        seconds, series = (*map(int, arguments), *(30, 50_000)[len(arguments) :])
        found = compare(seconds, series, any_order=any_order)
        print(json.dumps(found, indent=2))
        share = found.get("share_of_prometheus")
        most, ratio = BARS[any_order]
        figures = [Figure("CPU a sample", float(str(found["watchkeeper_us_per_sample"])), "us", most)]
        if isinstance(share, float):
            figures.append(Figure("ratio to Prometheus", share, "x", ratio))
        sys.exit(show(f"scraping {series:,} series, socket to disk, order {found['order']}", figures))


if __name__ == "__main__":
    main(sys.argv[1:])
