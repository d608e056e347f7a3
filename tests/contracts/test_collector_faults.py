"""Ten faults on every kind that asks a server, all kinds at once beside a source that is well.

Each kind fails with one of its reasons, or says that its target is down; it is counted, marks its series stale, and is
well again when the fault is gone. The source beside them never notices. ``WITHOUT`` says where a fault has no meaning.
What listens, and what reads this machine, is tried in test_listener_faults.py.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from support.asked_kinds import KINDS, Asked, asked
from support.certificates import self_made
from support.fault_way import Fault
from support.targets import TRUST, target

from collectors.openmetrics import Openmetrics
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import Tick, is_stale
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Appended
from watchkeeper.telemetry import Telemetry

pytestmark = [
    pytest.mark.servers,
    pytest.mark.uncounted,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

#: Years behind the servers' clock, which is the machine's.
NOON = datetime(2020, 11, 22, 12, tzinfo=UTC)
STEP = timedelta(seconds=15)
FAULTS: list[Fault] = [fault for fault in get_args(Fault) if fault not in ("", "tls")]
PROBES = {kind for kind in KINDS if kind.endswith("_probe")}
DATAGRAMS = "one datagram is one answer"
NO_REDIRECT = "the protocol cannot send a client elsewhere"
#: (fault, kind) -> why it has no meaning there.
WITHOUT = {
    **{
        ("redirect", kind): NO_REDIRECT
        for kind in ("memcached", "mysql", "postgresql", "sql_query", "sql_probe", "snmp")
    },
    ("redirect", "tcp_probe"): "any text is text",
    ("redirect", "tls_probe"): "TLS itself cannot send a client elsewhere",
    ("redirect", "dns_probe"): "a referral is followed by resolvers, never by who asks one question",
    ("redirect", "event_stream/kafka"): "brokers are named by the metadata: to go there is the protocol",
    ("tls", "tcp_probe"): "speaks no TLS; tls_probe does",
    ("tls", "dns_probe"): "asks over UDP and TCP in the clear",
    ("tls", "snmp"): "SNMPv3 has its own secrets; tried in test_snmp.py",
    ("huge", "dns_probe"): "a message has 65,535 bytes at most",
    ("huge", "snmp"): DATAGRAMS,
    ("drip", "snmp"): DATAGRAMS,
    ("truncation", "tcp_probe"): "what was expected has come before the end",
}
#: Bytes of a hundred megabytes that a reader may have let come before it left: its own limit and buffers on the way.
MOST_SENT = 30 << 20
SILENT = {"timeout"}
CUT = {"protocol", "connect", "timeout", "parse", "query"}
#: Reasons that a fault may have.
REASONS = {
    "timeout": SILENT | {"connect", "query"},
    "garbage": CUT | {"too_large", "tls"},
    "truncation": CUT,
    "huge": CUT | {"too_large", "tls"},
    "redirect": {"redirect", "query", "parse", "timeout", "protocol", "connect"},
    "tls": {"tls", "query"},
    "drip": SILENT | {"query"},
    "restart": CUT | {"tls"},
}


class Store:
    def __init__(self) -> None:
        self.ticks: list[Tick] = []

    def append_all(self, ticks: list[Tick]) -> list[Appended]:
        self.ticks += ticks
        return [Appended(received=len(tick.layout), stored=len(tick.layout)) for tick in ticks]


@dataclass
class Estate:
    """All kinds as sources of one engine's Collecting, and one source that is well."""

    collecting: Collecting
    store: Store
    ways: dict[str, Asked]
    well: Source
    sources: dict[str, Source]

    async def step(self, now: datetime) -> None:
        await asyncio.gather(*(self.collecting.step(source, now) for source in (*self.sources.values(), self.well)))

    async def until_all_are_up(self, now: datetime) -> None:
        """One after the other, so that none waits for its turn on a busy machine."""
        async with asyncio.timeout(60):
            while down := [source for source in self.sources.values() if _outcome(source) != "up"]:
                for source in down:
                    await self.collecting.step(source, now)

    def turn(self, fault: Fault, kinds: list[str]) -> None:
        for kind in kinds:
            self.ways[kind][0].turn(fault)

    def outcomes(self) -> dict[str, str]:
        """Kind -> up, down (a probe says so) or the reason of its failure."""
        return {kind: _outcome(source) for kind, source in self.sources.items()}

    def counts(self, kind: str) -> Counter[str]:
        """Outcome -> how often, as the engine counts it."""
        (family,) = (one for one in self.collecting.telemetry.collections.collect())
        rows = (one for one in family.samples if one.name.endswith("_total") and one.labels["source"] == kind)
        return Counter({one.labels["outcome"]: int(one.value) for one in rows})

    def sent(self, kind: str) -> int:
        return self.ways[kind][0].sent

    def not_marked_stale(self) -> set[str]:
        """Kinds that failed and whose series look alive."""
        stale = {tick.target for tick in self.store.ticks if is_stale(tick.values).any()}
        failing = {kind: source for kind, source in self.sources.items() if source.state == "failing"}
        return {kind for kind, one in failing.items() if not any(name.startswith(f"{one.kind}/") for name in stale)}


def _outcome(source: Source) -> str:
    if source.state == "up":
        return "up" if source.reached else "down"
    if source.state == "starting":
        return "starting"
    return source.error.partition(":")[0]


def _source(name: str, kind: str, part: Any) -> Source:
    return Source(name=name, kind=kind.partition("/")[0], interval=STEP, collector=part, health_labels={"job": name})


@pytest.fixture
def wrong(tmp_path: Path) -> ssl.SSLContext:
    """What a server shows that has somebody else's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_made(tmp_path, "other.example"))
    return context


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@asynccontextmanager
async def estate(
    kinds: list[str], folder: Path, wrong: ssl.SSLContext, executor: ThreadPoolExecutor, **options: Any
) -> AsyncIterator[Estate]:
    async with AsyncExitStack() as stack:
        outbound = Outbound(allow_private=True, verify=TRUST)
        stack.push_async_callback(outbound.aclose)
        store: Any = Store()

        async def nothing(*_: object) -> None:
            return None

        collecting = Collecting(
            store=store, outbound=outbound, telemetry=Telemetry(), clock=ManualClock(NOON), executor=executor,
            scored=nothing, logged=nothing,
        )  # fmt: skip
        good = await stack.enter_async_context(target())
        well = _source("well", "openmetrics", Openmetrics(name="well", url=good.url()))
        ways = {}
        for kind in kinds:
            (folder / kind).mkdir(parents=True)
            ways[kind] = await stack.enter_async_context(asked(kind, folder / kind, wrong, **options))
        made = Estate(
            collecting, store, ways, well, {kind: _source(kind, kind, part) for kind, (_, part) in ways.items()}
        )
        yield made
        for _, part in ways.values():
            await part.close()
    gc.collect()  # clients of others leave connections that broke half way to it: their warnings belong here


def allowed(fault: str, kind: str) -> set[str]:
    return {"down"} if kind in PROBES - {"sql_probe"} else REASONS[fault] | ({"down"} if kind in PROBES else set())


async def test_each_fault_is_told_and_counted_and_harms_nobody_else(
    tmp_path: Path, wrong: ssl.SSLContext, executor: ThreadPoolExecutor
) -> None:
    async with estate(KINDS, tmp_path, wrong, executor) as made:
        for number, fault in enumerate(FAULTS):
            await made.until_all_are_up(NOON + 2 * number * STEP)
            kinds = [kind for kind in KINDS if (fault, kind) not in WITHOUT]
            before = {kind: made.counts(kind) for kind in ("well", *kinds)}
            made.turn(fault, kinds)
            made.store.ticks.clear()
            await made.step(NOON + (2 * number + 1) * STEP)
            said = {kind: found for kind, found in made.outcomes().items() if kind in kinds}
            assert {kind: found for kind, found in said.items() if found not in allowed(fault, kind)} == {}, fault
            for kind, found in {**said, "well": "up"}.items():
                outcome = "ok" if found in ("up", "down") else found
                assert made.counts(kind) - before[kind] == Counter({outcome: 1}), (fault, kind)
            assert made.well.state == "up"
            assert {kind for kind in kinds if made.sent(kind) > MOST_SENT} == set(), fault
            assert {kind for kind in kinds if made.ways[kind][0].strayed} == set(), fault
            assert made.not_marked_stale() == set(), fault
            made.turn("", kinds)
        await made.until_all_are_up(NOON + 2 * len(FAULTS) * STEP)


async def test_a_wrong_certificate_is_refused(
    tmp_path: Path, wrong: ssl.SSLContext, executor: ThreadPoolExecutor
) -> None:
    kinds = [kind for kind in KINDS if ("tls", kind) not in WITHOUT]
    async with estate(kinds, tmp_path, wrong, executor, tls=True) as made:
        made.turn("tls", kinds)
        for source in made.sources.values():
            await made.collecting.step(source, NOON)
        said = made.outcomes()
        assert {kind: found for kind, found in said.items() if found not in allowed("tls", kind)} == {}
        assert {kind for kind in kinds if not made.ways[kind][0].connections} == set()


async def test_samples_bear_our_time_whatever_the_clock_of_a_server_says(
    tmp_path: Path, wrong: ssl.SSLContext, executor: ThreadPoolExecutor
) -> None:
    async with estate(KINDS, tmp_path, wrong, executor) as made:
        await made.until_all_are_up(NOON)
        assert {tick.time_ms for tick in made.store.ticks} == {to_ms(NOON)}


#: Kinds whose series are as many as their options say.
FIXED = {*PROBES, "event_stream/redis", "event_stream/nats", "event_stream/kafka", "nginx_status"}
#: Their lines are grouped by labels that strangers choose; see test_listener_faults.py.
LINES = {"loki_logs", "elasticsearch_logs"}


async def test_a_server_with_too_many_series_keeps_its_known_ones_and_the_rest_is_counted(
    tmp_path: Path, wrong: ssl.SSLContext, executor: ThreadPoolExecutor
) -> None:
    kinds = [kind for kind in KINDS if kind not in FIXED | LINES]
    async with estate(kinds, tmp_path, wrong, executor, sample_limit=1) as made:
        await made.until_all_are_up(NOON)
        for kind, source in made.sources.items():
            assert source.rejected["sample_limit"] > 0, kind
            kept = made.collecting.telemetry.registry.get_sample_value(
                "watchkeeper_samples_rejected_total", {"source": kind, "reason": "sample_limit"}
            )
            assert kept == source.rejected["sample_limit"], kind
