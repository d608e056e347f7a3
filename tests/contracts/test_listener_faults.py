"""The faults where others come to us, and where this machine is read: nothing ends, and what is lost is counted."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.asked_kinds import KINDS
from support.certificates import self_made
from support.journal import add, entry, journalctl
from support.targets import TRUST, answer, target

from collectors import BUILTIN
from collectors.container_logs import ContainerLogs
from collectors.elasticsearch_logs import ElasticsearchLogs
from collectors.journald import Journald
from collectors.log_file import LogFile
from collectors.log_rows import MOST_STREAMS
from collectors.loki_logs import LokiLogs
from collectors.statsd import MOST_LINE, Statsd
from collectors.syslog import Syslog
from watchkeeper.errors import CollectError
from watchkeeper.model import label, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = Outbound(allow_private=True, verify=TRUST)
FAULTS = ("timeout", "garbage", "truncation", "huge", "redirect", "tls", "drip", "restart", "skew", "bomb")
COME_TO_US = "others come to us"
OWN_FILES = "the kernel's own files"
NO_CONNECTION = "there is no connection"
#: (kind, fault) -> why it has no meaning there.
WITHOUT = {
    "statsd": {
        "timeout": COME_TO_US,
        "redirect": COME_TO_US,
        "tls": "StatsD knows no TLS",
        "skew": "lines bear no time",
    },
    "syslog": {"timeout": COME_TO_US, "redirect": COME_TO_US},
    "journald": {"redirect": NO_CONNECTION, "tls": NO_CONNECTION},
    **{
        kind: {"timeout": "a file that does not grow is no fault", "redirect": NO_CONNECTION, "tls": NO_CONNECTION}
        for kind in ("log_file", "container_logs")
    },
    "host": dict.fromkeys(FAULTS, OWN_FILES),
    "host_security": dict.fromkeys(FAULTS, OWN_FILES + "; its limits are tried in test_host_security.py"),
    "icmp_probe": dict.fromkeys(FAULTS, "an echo of our own words; silence is tried in test_icmp_probe.py"),
    "page_probe": dict.fromkeys(FAULTS, "a browser's; tried with few loads in test_page_probe.py"),
}


def told(found: Collected) -> dict[str, float]:
    """Metric, with the value of its label severity or file -> value."""
    (tick,) = found.ticks
    return {metric_name(one): value for one, value in zip(tick.layout.series, tick.values.tolist(), strict=True)}


def texts(found: Collected) -> list[str]:
    return [text for batch in found.logs for text in batch.texts()]


async def until(part: Any, enough: Callable[[Collected], bool]) -> Collected:
    """The first reading that is ``enough``."""
    async with asyncio.timeout(20):
        while True:
            found: Collected = await part.collect(NOON, NOBODY)
            if enough(found):
                return found
            await asyncio.sleep(0.01)


async def all_until(part: Any, last: str) -> tuple[list[str], Collected]:
    """All lines up to one, and the reading that brought it."""
    seen: list[str] = []
    async with asyncio.timeout(20):
        while True:
            found: Collected = await part.collect(NOON, NOBODY)
            seen += texts(found)
            if last in seen:
                return seen, found


async def send(part: Any, *pieces: bytes) -> None:
    """Over one TCP connection, which then ends."""
    _, writer = await asyncio.open_connection("127.0.0.1", part.port)
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def statsd_garbage(_: Path) -> None:
    part = await started(Statsd(name="n", listen="127.0.0.1:0"))
    await send(part, bytes(range(255, -1, -1)) * 4 + b"\n", b"good:1|c\n")
    found = await until(part, lambda found: "good" in told(found))
    assert found.rejected["parse"] > 0
    await part.close()


async def statsd_truncation(_: Path) -> None:
    part = await started(Statsd(name="n", listen="127.0.0.1:0"))
    await send(part, b"whole:1|c\nha")
    found = await until(part, lambda found: "whole" in told(found) and bool(found.rejected))
    assert found.rejected == {"parse": 1}
    await part.close()


async def statsd_huge(_: Path) -> None:
    part = await started(Statsd(name="n", listen="127.0.0.1:0"))
    await send(part, *[b"x" * MOST_LINE] * 20)
    await until(part, lambda found: found.rejected == {"too_large": 1})
    await send(part, b"good:1|c\n")
    await until(part, lambda found: "good" in told(found))
    await part.close()


async def statsd_drip(_: Path) -> None:
    part = await started(Statsd(name="n", listen="127.0.0.1:0"))
    slow = (await asyncio.open_connection("127.0.0.1", part.port))[1]
    for byte in b"slo":
        slow.write(bytes([byte]))
        await slow.drain()
        await send(part, b"quick:1|c\n")
    await until(part, lambda found: told(found).get("quick") == 3)
    slow.write(b"w:1|c\n")
    slow.close()
    await until(part, lambda found: told(found).get("slow") == 1)
    await part.close()


async def statsd_restart(_: Path) -> None:
    part = await started(Statsd(name="n", listen="127.0.0.1:0"))
    await part.close()
    await started(part)
    await send(part, b"good:1|c\n")
    await until(part, lambda found: "good" in told(found))
    await part.close()


async def statsd_bomb(_: Path) -> None:
    part = await started(Statsd(name="n", listen="127.0.0.1:0", sample_limit=3))
    await send(part, b"known:1|c\n", b"".join(b"m%d:1|c\n" % number for number in range(100)), b"known:1|c\n")
    counts = [0]

    def enough(found: Collected) -> bool:
        counts[0] += found.rejected.get("sample_limit", 0)
        return told(found).get("known") == 2

    await until(part, enough)
    assert counts == [98]
    await part.close()


async def started(part: Any) -> Any:
    await part.collect(NOON, NOBODY)
    return part


def syslog(**options: Any) -> Syslog:
    return Syslog(**{"name": "s", "listen": "127.0.0.1:0", "protocol": "tcp", **options})


async def syslog_garbage(_: Path) -> None:
    part = await started(syslog())
    await send(part, b"\xff\xfe\x80 <999>\n<11>good\n")
    found = await until(part, lambda found: len(texts(found)) == 2)
    assert texts(found)[1] == "good"
    await part.close()


async def syslog_truncation(_: Path) -> None:
    part = await started(syslog())
    await send(part, b"<11>whole\n<11>ha")
    assert sorted(texts(await until(part, lambda found: len(texts(found)) == 2))) == ["ha", "whole"]
    await part.close()


async def syslog_huge(_: Path) -> None:
    part = await started(syslog(max_message=1024))
    await send(part, *[b"x" * 65_536] * 20)
    found = await until(part, lambda found: told(found)["watchkeeper_syslog_broken_connections_total"] == 1)
    assert sum(map(len, texts(found))) <= 65_536 * 2
    await part.close()


async def syslog_tls(folder: Path) -> None:
    certificate, key = self_made(folder)
    part = await started(syslog(protocol="tls", certificate=certificate, key=key, client_ca=certificate))
    context = ssl.create_default_context(cafile=str(certificate))

    def without_a_certificate() -> None:
        raw = socket.create_connection(("127.0.0.1", part.port))
        with suppress(OSError), context.wrap_socket(raw, server_hostname="watchkeeper.example") as one:
            one.sendall(b"<11>not from us\n")
            one.recv(1)

    await asyncio.to_thread(without_a_certificate)
    found = await until(part, lambda found: told(found)["watchkeeper_syslog_broken_connections_total"] == 1)
    assert texts(found) == []
    await part.close()


async def syslog_drip(_: Path) -> None:
    part = await started(syslog())
    slow = (await asyncio.open_connection("127.0.0.1", part.port))[1]
    slow.write(b"<11>sl")
    await slow.drain()
    await send(part, b"<11>quick\n")
    assert texts(await until(part, lambda found: bool(found.logs))) == ["quick"]
    slow.write(b"ow\n")
    slow.close()
    assert texts(await until(part, lambda found: bool(found.logs))) == ["slow"]
    await part.close()


async def syslog_restart(_: Path) -> None:
    part = await started(syslog())
    await part.close()
    await started(part)
    await send(part, b"<11>again\n")
    assert texts(await until(part, lambda found: bool(found.logs))) == ["again"]
    await part.close()


async def syslog_skew(_: Path) -> None:
    part = await started(syslog())
    stamps = ("1970-01-01T00:00:01Z", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-22T12:00:00Z")
    await send(part, *(f"<11>1 {stamp} h app - - - x\n".encode() for stamp in stamps))
    found = await until(part, lambda found: len(texts(found)) == 4)
    assert found.ticks[0].time_ms == round(NOON.timestamp() * 1000)
    await part.close()


async def syslog_bomb(_: Path) -> None:
    part = await started(syslog())
    many = MOST_STREAMS + 100
    await send(part, b"".join(b"<11>1 2026-11-22T12:00:00Z host%d app - - - x\n" % number for number in range(many)))
    batches, lines, unnamed = 0, 0, 0.0
    async with asyncio.timeout(20):
        while lines < many:
            found = await part.collect(NOON, NOBODY)
            batches, lines = max(batches, len(found.logs)), lines + len(texts(found))
            unnamed = told(found)["watchkeeper_log_unnamed_total"]
            await asyncio.sleep(0.01)
    assert batches <= MOST_STREAMS + 1
    assert unnamed <= 100
    await part.close()


async def journal(folder: Path) -> Journald:
    """One that follows."""
    part = Journald(name="j", program=journalctl(folder))
    add(folder, entry(0, "first"))
    await until(part, lambda found: texts(found) == ["first"])
    return part


async def journald_timeout(folder: Path) -> None:
    part = await journal(folder)
    assert texts(await part.collect(NOON, NOBODY)) == []  # nothing to say is no fault
    await part.close()


async def journald_garbage(folder: Path) -> None:
    part = await journal(folder)
    add(folder, "\ufffd" * 300, "[1, 2", entry(2, "good"))
    found = await until(part, lambda found: bool(found.logs))
    assert (texts(found), told(found)["watchkeeper_log_broken_total"]) == (["good"], 2)
    await part.close()


async def journald_truncation(folder: Path) -> None:
    part = await journal(folder)
    add(folder, entry(1)[:40], entry(2, "good"))
    found = await until(part, lambda found: bool(found.logs))
    assert (texts(found), told(found)["watchkeeper_log_broken_total"]) == (["good"], 1)
    await part.close()


async def journald_huge(folder: Path) -> None:
    program = folder / "journalctl"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "for _ in range(20): sys.stdout.write('x' * (1 << 20))\n"
        f"print()\nprint({entry(2, 'good')!r}, flush=True)\nsys.stdin.read()\n"
    )
    program.chmod(0o755)
    part = Journald(name="j", program=str(program))
    found = await until(part, lambda found: bool(found.logs))
    assert texts(found) == ["good"]
    assert told(found)["watchkeeper_log_broken_total"] >= 1
    await part.close()


async def journald_drip(folder: Path) -> None:
    program = folder / "journalctl"
    whole = entry(2, "slow")
    program.write_text(
        f"#!{sys.executable}\nimport time\n"
        f"for one in {whole!r}:\n    print(one, end='', flush=True)\n    time.sleep(0.002)\n"
        "print(flush=True)\ntime.sleep(60)\n"
    )
    program.chmod(0o755)
    part = Journald(name="j", program=str(program))
    assert texts(await until(part, lambda found: bool(found.logs))) == ["slow"]
    await part.close()


async def journald_restart(folder: Path) -> None:
    part = await journal(folder)
    add(folder, entry(1, "one"))
    await until(part, lambda found: texts(found) == ["one"])
    assert part._process is not None
    part._process.kill()
    with pytest.raises(CollectError) as failure:
        await until(part, lambda _: False)
    assert failure.value.reason == "protocol"
    add(folder, entry(2, "two"))
    assert texts(await until(part, lambda found: bool(found.logs))) == ["two"]
    await part.close()


async def journald_skew(folder: Path) -> None:
    part = await journal(folder)
    past, never = entry(1, "past").replace("17953", "00003"), entry(2, "never").replace("17953", "9" * 30)
    add(folder, past, never, entry(3, "now"))
    seen, found = await all_until(part, "now")
    assert (seen, told(found)["watchkeeper_log_broken_total"]) == (["past", "now"], 1)
    await part.close()


async def journald_bomb(folder: Path) -> None:
    part = await journal(folder)
    many = MOST_STREAMS + 50
    add(folder, *(entry(number + 1, "x", unit=f"u{number}.service") for number in range(many)))
    lines = batches = 0
    async with asyncio.timeout(20):
        while lines < many:
            found = await part.collect(NOON, NOBODY)
            lines, batches = lines + len(texts(found)), max(batches, len(found.logs))
    assert batches <= MOST_STREAMS + 1
    await part.close()


class FileFaults:
    """What a file may hold, of both kinds that follow files."""

    def __init__(self, make: type[LogFile]) -> None:
        self.make = make
        self.cri = b"2026-11-22T12:00:00Z stdout F " if make is ContainerLogs else b""

    def following(self, folder: Path, **options: Any) -> LogFile:
        return self.make(name="f", paths=[str(folder / "*.log")], from_beginning=True, **options)

    async def garbage(self, folder: Path) -> None:
        (folder / "a.log").write_bytes(bytes(range(255, 10, -1)) + b"\n" + self.cri + b"good\n")
        assert texts(await self.following(folder).collect(NOON, NOBODY))[-1] == "good"

    async def truncation(self, folder: Path) -> None:
        place, part = folder / "a.log", self.following(folder)
        place.write_bytes(self.cri + b"whole\n" + self.cri + b"ha")
        assert texts(await part.collect(NOON, NOBODY)) == ["whole"]
        with place.open("ab") as file:
            file.write(b"lf\n")
        assert texts(await part.collect(NOON, NOBODY)) == ["half"]

    async def huge(self, folder: Path) -> None:
        with (folder / "a.log").open("wb") as file:
            file.truncate(100 << 20)
            file.seek(0, 2)
            file.write(b"\n" + self.cri + b"good\n")
        part = self.following(folder, max_line=4096)
        seen, found = await all_until(part, "good")
        assert told(found)["watchkeeper_log_cut_lines_total"] == 1
        assert all(len(text) <= 4096 for text in seen)

    async def drip(self, folder: Path) -> None:
        place, part = folder / "a.log", self.following(folder)
        found: list[str] = []
        for byte in self.cri + b"slow\n":
            with place.open("ab") as file:
                file.write(bytes([byte]))
            found += texts(await part.collect(NOON, NOBODY))
        assert found == ["slow"]

    async def restart(self, folder: Path) -> None:
        place, part = folder / "a.log", self.following(folder)
        place.write_bytes(self.cri + b"one\n")
        assert texts(await part.collect(NOON, NOBODY)) == ["one"]
        position = part.position()
        place.rename(folder / "a.log.1")
        place.write_bytes(self.cri + b"two\n")
        again = self.following(folder)
        again.restore(position)
        assert texts(await again.collect(NOON, NOBODY)) == ["two"]

    async def skew(self, folder: Path) -> None:
        stamps = ("1970-01-01T00:00:01Z", "2099-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "2026-11-22T12:00:00Z")
        (folder / "a.log").write_text("".join(f"{stamp} stdout F x\n" for stamp in stamps))
        found = await self.following(folder).collect(NOON, NOBODY)
        assert len(texts(found)) == len(stamps)
        assert {tick.time_ms for tick in found.ticks} == {round(NOON.timestamp() * 1000)}

    async def bomb(self, folder: Path) -> None:
        for number in range(30):
            (folder / f"{number}.log").write_bytes(self.cri + b"x\n")
        found = await self.following(folder, max_files=10).collect(NOON, NOBODY)
        assert told(found)["watchkeeper_log_files_ignored"] == 20
        assert len({label(series, "file") for tick in found.ticks for series in tick.layout.series} - {""}) <= 10


OURS = {name: thing for name, thing in globals().items() if name.partition("_")[2] in FAULTS}
CASES: dict[tuple[str, str], Callable[[Path], Awaitable[None]]] = {
    **{(kind, fault): OURS[f"{kind}_{fault}"] for kind in WITHOUT for fault in FAULTS if f"{kind}_{fault}" in OURS},
    **{("log_file", fault): getattr(FileFaults(LogFile), fault) for fault in FAULTS if hasattr(FileFaults, fault)},
    **{
        ("container_logs", fault): getattr(FileFaults(ContainerLogs), fault)
        for fault in FAULTS
        if hasattr(FileFaults, fault)
    },
}


def test_every_kind_meets_every_fault_or_says_why_not() -> None:
    asked = {kind.partition("/")[0] for kind in KINDS}
    assert asked | set(WITHOUT) == set(BUILTIN)
    assert asked & set(WITHOUT) == set()
    for kind, reasons in WITHOUT.items():
        tried = {fault for of, fault in CASES if of == kind}
        assert tried | set(reasons) == set(FAULTS), kind
        assert tried & set(reasons) == set(), kind


@pytest.mark.parametrize(("kind", "fault"), sorted(CASES))
async def test_a_fault_ends_nothing(kind: str, fault: str, tmp_path: Path) -> None:
    await CASES[kind, fault](tmp_path)


async def test_streams_without_number_of_a_log_server_are_few_batches_and_the_rest_is_counted() -> None:
    many = MOST_STREAMS + 100
    rows = ",".join(f'{{"stream":{{"a":"{n}"}},"values":[["1795348800000000000","x{n}"]]}}' for n in range(many))
    loki = f'{{"status":"success","data":{{"resultType":"streams","result":[{rows}]}}}}'
    hits = ",".join(
        f'{{"_index":"logs","_id":"{n}","sort":[1795348800000],"_source":{{"message":"x","host":{{"name":"h{n}"}}}}}}'
        for n in range(many)
    )
    found = f'{{"timed_out":false,"_shards":{{"failed":0}},"hits":{{"hits":[{hits}]}}}}'
    async with target() as server:
        server.pages["/loki/api/v1/query_range"] = answer(loki.encode())
        server.pages["/logs/_search"] = answer(found.encode())
        parts: list[Any] = [
            LokiLogs(name="l", url=server.url(""), query="{}", max_lines=many),
            ElasticsearchLogs(name="e", url=server.url(""), index="logs", max_lines=many),
        ]
        for part in parts:
            read = await part.collect(NOON, NOBODY)
            assert len(texts(read)) == many
            assert len(read.logs) <= MOST_STREAMS + 1
            assert told(read)["watchkeeper_log_unnamed_total"] == (many - MOST_STREAMS)
