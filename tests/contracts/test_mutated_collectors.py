"""What comes back is changed on the way, for every kind: no crash, a reason or a ledger that balances, and in time.

200 changed answers a kind here, 100,000 in ``make test-long`` (budget: LONG_SECONDS over all kinds; seeds are printed).
Real servers speak once; what they said is changed and said again out of memory.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.changed_answers import LANES, NOON, Lane, Reader, outcome, over_tcp, tls_lanes
from support.good_servers import SHORT, build, streams, tcp_server
from support.journal import add, entry, journalctl
from support.memory_net import SERVER, memory_network
from support.mutations import datagrams, mutated
from support.snmp_agents import shared_snmpd
from support.targets import TRUST

from collectors import BUILTIN
from watchkeeper.outbound import Outbound

pytestmark = pytest.mark.uncounted

MANY = 100_000
#: Open files after a hundred thousand attempts: those of the tests and their servers.
MOST_FILES = 400
#: Clients of others leave connections that broke half way to the garbage collector.
left_to_the_collector = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
#: Kinds that read no answer which something on the way could change.
NOTHING_TO_CHANGE = {
    "host_security",  # names and rights of files, and the kernel's own tables
    "host",  # the kernel's own files
    "icmp_probe",  # an echo of our own words
    "page_probe",  # Chromium reads the answer
}


class Datagrams:
    """Changes one answer in three: a walk must also get as far as its later answers."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.changed = dice, 0

    def __call__(self, data: bytes) -> bytes:
        if self.dice.randrange(3):
            return data
        self.changed += 1
        return mutated(data, self.dice)


@asynccontextmanager
async def snmp_lanes(seed: int) -> AsyncIterator[list[Lane]]:
    async with AsyncExitStack() as stack:
        lanes: list[Lane] = []
        for lane in range(LANES):
            way = Datagrams(random.Random(f"{seed}/{lane}"))
            port = await stack.enter_async_context(datagrams(shared_snmpd().port, way))
            options = {"community": "watch", "modules": ["system"], "timeout": SHORT, "retry_after": SHORT / 4}

            async def once(_: random.Random, port: int = port, options: dict[str, Any] = options) -> str:
                part = build("snmp", {"address": f"127.0.0.1:{port}", **options})
                return await outcome(part, Outbound(allow_private=True, verify=TRUST))

            lanes.append(Lane(once, way))
        yield lanes


LINES = (
    b'2026-11-22T12:00:00Z ERROR boom level=error\n{"level":"warn","msg":"x"}\n'
    b'{"log":"line\\n","stream":"stdout","time":"2026-11-22T12:00:00.5Z"}\n'
    b"2026-11-22T12:00:00.000000001Z stdout P part\n2026-11-22T12:00:00.000000002Z stdout F rest\n\xd6\xd0\xce\xc4\n"
)


def of_files(kind: str, folder: Path) -> list[Lane]:
    """Files with changed lines, all of one name: patterns of names are compiled once."""
    place = folder / "changed.log"
    outbound = Outbound(allow_private=True, verify=TRUST)

    async def once(dice: random.Random) -> str:
        place.write_bytes(mutated(LINES, dice))
        options = {"paths": [str(place)], "from_beginning": True}
        if kind == "log_file" and dice.random() < 0.3:
            options |= {"encoding": "gb18030", "multiline_start": "[0-9]"}
        return await outcome(build(kind, options), outbound)

    return [Lane(once)]


def of_sqlite(kind: str, folder: Path) -> list[Lane]:
    """A database whose file is changed between two readings."""
    whole = folder / "whole.db"
    with sqlite3.connect(whole) as database:
        database.execute("create table t (n, w)")
        database.executemany("insert into t values (?, ?)", [(number, f"w{number}") for number in range(20)])
    database.close()
    body, place = whole.read_bytes(), folder / "changed.db"
    asked = {"queries": [{"name": "q", "sql": "select n, w from t", "values": ["n"], "labels": ["w"]}]}
    options = asked if kind == "sql_query" else {"sql": "select n from t", "expect": "1"}
    make = partial(build, kind, {"url": f"sqlite:///{place}", **options})
    read = Reader(make, Outbound(allow_private=True, verify=TRUST))

    async def once(dice: random.Random) -> str:
        place.write_bytes(mutated(body, dice))
        return await read(dice)

    return [Lane(once)]


SENT = {
    "statsd": b"a.b:1|c|#env:PROD\nt:12|ms|@0.5\ng:-3|g\ns:x|s\nname,env=PROD:1|c\n",
    "syslog": b'<13>1 2026-11-22T12:00:00Z host app 1 ID [a b="c"] hello\n<34>Oct 11 22:14:15 host su: no\n',
}


@asynccontextmanager
async def listening(kind: str) -> AsyncIterator[list[Lane]]:
    """A listener that is sent changed datagrams, several between two readings."""
    part = build(kind, {"listen": "127.0.0.1:0"})
    outbound = Outbound(allow_private=True, verify=TRUST)
    await part.collect(NOON, outbound)
    place = ("127.0.0.1", part.port)
    loop = asyncio.get_running_loop()
    sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=place)
    sent = 0

    async def once(dice: random.Random) -> str:
        nonlocal sent
        sender.sendto(mutated(SENT[kind], dice)[:60_000])
        await asyncio.sleep(0)
        sent += 1
        if sent % 10:
            return ""
        found = await part.collect(NOON, outbound)
        for tick in found.ticks:
            assert len(set(tick.layout.series)) == len(tick.layout)
        return ""

    yield [Lane(once)]
    sender.close()
    await part.close()


@asynccontextmanager
async def of_journal(folder: Path) -> AsyncIterator[list[Lane]]:
    """A journal that gives changed entries, many between two readings."""
    part = build("journald", {"program": journalctl(folder)})
    outbound = Outbound(allow_private=True, verify=TRUST)
    waiting = 0

    async def once(dice: random.Random) -> str:
        nonlocal waiting
        line = mutated(entry(dice.randrange(1000), message=dice.choice(["x", [1, 2], None])).encode(), dice)
        add(folder, line.replace(b"\n", b" ").decode("utf-8", "replace"))
        waiting += 1
        if waiting % 50 == 0:
            await part.collect(NOON, outbound)
        return ""

    yield [Lane(once)]
    await part.close()


@asynccontextmanager
async def attempts(kind: str, folder: Path, seed: int) -> AsyncIterator[list[Lane]]:
    if kind in ("log_file", "container_logs", "sql_query", "sql_probe"):
        SERVER.set(asyncio.Protocol)  # what they do in threads is done in the loop: nothing else goes on
        with memory_network():
            yield (of_files if "log" in kind else of_sqlite)(kind, folder)
    elif kind in ("syslog", "statsd"):
        async with listening(kind) as lanes:
            yield lanes
    elif kind == "journald":
        async with of_journal(folder) as lanes:
            yield lanes
    elif kind == "snmp":
        async with snmp_lanes(seed) as lanes:
            yield lanes
    elif kind == "tls_probe":
        async with AsyncExitStack() as stack:
            yield await tls_lanes(folder, seed, stack)
    else:
        async with AsyncExitStack() as stack:
            name, _, protocol = kind.partition("/")
            found = await (streams(protocol, stack) if protocol else tcp_server(name, stack, folder))
            yield await over_tcp(kind, *found, seed, stack)


KINDS = sorted(
    {*BUILTIN, "event_stream/redis", "event_stream/nats", "event_stream/kafka"} - NOTHING_TO_CHANGE - {"event_stream"}
)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def run(kind: str, folder: Path, seed: int, count: int, until: float) -> tuple[int, Counter[str]]:
    """(answers that came changed, reason -> attempts): ``count`` answers, or as many as the time allows."""
    threads = ThreadPoolExecutor(64)  # one that waits for a changed length must not hold up the others
    asyncio.get_running_loop().set_default_executor(threads)
    reasons: Counter[str] = Counter()

    async def take(lane: Lane, number: int, share: int) -> None:
        dice = random.Random(f"{seed}/{number}/dice")
        while lane.changed < share and time.monotonic() < until:
            reasons[await lane.attempt(dice)] += 1

    async with attempts(kind, folder, seed) as lanes:
        shares = [count // len(lanes) + (number < count % len(lanes)) for number in range(len(lanes))]
        await asyncio.gather(*(take(one, number, shares[number]) for number, one in enumerate(lanes)))
        return sum(lane.changed for lane in lanes), reasons


@pytest.fixture(autouse=True)
def told_to_nobody() -> Iterator[None]:
    """What clients of others log about broken answers costs more than the answers."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True, scope="module")
def collected_here() -> Iterator[None]:
    """Connections that broke half way are collected while their warnings are expected, and not in somebody's test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def deadline() -> float:
    """When the long form is over; what one kind leaves of its share is the others'."""
    return time.monotonic() + float(os.environ.get("LONG_SECONDS", "3600"))


@pytest.fixture
def share(request: pytest.FixtureRequest) -> float:
    """The part of what time is left that is this kind's: as much as that of each kind chosen which comes after it."""
    chosen = [item for item in request.session.items if item.location[0] == request.node.location[0]]
    return 1 / (len(chosen) - chosen.index(request.node))


@left_to_the_collector
@pytest.mark.servers
@pytest.mark.parametrize("kind", KINDS)
async def test_two_hundred_changed_answers_end_nothing(kind: str, tmp_path: Path) -> None:
    changed, reasons = await run(kind, tmp_path, 7, 200, time.monotonic() + 120)
    assert changed >= 200, reasons


@left_to_the_collector
@pytest.mark.long
@pytest.mark.servers
@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_thousand_changed_answers_end_nothing(
    kind: str, tmp_path: Path, deadline: float, share: float
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    now, cpu = time.monotonic(), time.process_time()
    changed, reasons = await run(kind, tmp_path, seed, MANY, now + (deadline - now) * share)
    cpu = time.process_time() - cpu
    print(f"{kind}: seed {seed}, {changed} changed answers, {reasons.total()} readings, {cpu:.0f} s: {dict(reasons)}")
    assert changed > 0
    assert open_files() < MOST_FILES
