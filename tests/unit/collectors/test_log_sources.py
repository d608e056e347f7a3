"""Lines of containers, of the journal and of syslog: joined, labelled, with their own times, none lost."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.certificates import self_made
from support.journal import add, entry, journalctl, written
from support.servers import need

from collectors.container_logs import ContainerLogs
from collectors.journald import Journald
from collectors.log_rows import Row
from collectors.syslog import Syslog
from collectors.syslog_text import Frames, parse
from watchkeeper.errors import CollectError
from watchkeeper.model import SEVERITIES, LogBatch, label

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = 1_795_348_800_000
NOBODY: Any = None


async def look(part: Any) -> list[LogBatch]:
    return list((await part.collect(NOON, NOBODY)).logs)


def told(batches: list[LogBatch]) -> list[tuple[str, str, int]]:
    """(text, severity, ms) of every line."""
    return [
        (text, SEVERITIES[code], at)
        for batch in batches
        for text, code, at in zip(batch.texts(), batch.severity.tolist(), batch.times.tolist(), strict=True)
    ]


# --- containers ------------------------------------------------------------------------------------------------------


async def test_docker_lines_are_unwrapped_joined_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "containers" / ("ab" * 32)
    folder.mkdir(parents=True)
    about = {"Name": "/web", "Config": {"Labels": {"com.docker.compose.service": "shop"}}}
    (folder / "config.v2.json").write_text(json.dumps(about))
    log = folder / f"{'ab' * 32}-json.log"
    rows = [("ERROR 数据库\n", 1), ("first ", 2), ("and second\n", 3)]
    said = [json.dumps({"log": text, "time": f"2026-11-22T12:00:0{n}.123456789Z"}) for text, n in rows]
    log.write_text("".join(f"{one}\n" for one in [*said, "{broken", '{"no":"log"}']))
    part = ContainerLogs(name="c", paths=[f"{tmp_path}/containers/*/*-json.log"], from_beginning=True)
    (batch,) = await look(part)
    assert told([batch]) == [
        ("ERROR 数据库", "error", MS + 1123),
        ("first and second", "", MS + 2123),
        ("{broken", "", MS),
        ('{"no":"log"}', "", MS),
    ]
    assert [label(batch.labels, name) for name in ("container", "container_id", "compose_service")] == [
        "web", "ab" * 6, "shop",
    ]  # fmt: skip
    await part.close()


async def test_cri_lines_are_unwrapped_and_labelled_by_their_path(tmp_path: Path) -> None:
    folder = tmp_path / "pods" / "shop_web-1_uid" / "app"
    folder.mkdir(parents=True)
    at = "2026-11-22T20:00:00.5+08:00"
    lines = [f"{at} stderr F WARN one", f"{at} stdout P begin-", f"{at} stdout F end", f"{at} stdout F ", "no form"]
    (folder / "0.log").write_text("\n".join(lines) + "\n")
    part = ContainerLogs(name="c", paths=[f"{tmp_path}/pods/*/*/*.log"], from_beginning=True)
    (batch,) = await look(part)
    assert told([batch]) == [
        ("WARN one", "warning", MS + 500), ("begin-end", "", MS + 500), ("", "", MS + 500), ("no form", "", MS),
    ]  # fmt: skip
    assert [label(batch.labels, name) for name in ("namespace", "pod", "container")] == ["shop", "web-1", "app"]
    await part.close()


async def test_a_trace_of_a_container_is_one_record_with_the_time_of_its_first_line(tmp_path: Path) -> None:
    folder = tmp_path / "pods" / "shop_web-1_uid" / "app"
    folder.mkdir(parents=True)
    trace = ["ERROR failed", "java.io.IOException: reset", "\tat a.B.c(B.java:1)", "Caused by: x.Y", "\t... 2 more"]
    said = [f"2026-11-22T12:00:0{at}.5Z stderr F {one}" for at, one in enumerate([*trace, "INFO next"])]
    (folder / "0.log").write_text("\n".join(said) + "\n")
    part = ContainerLogs(name="c", paths=[f"{tmp_path}/pods/*/*/*.log"], from_beginning=True)
    assert told(await look(part)) == [("\n".join(trace), "error", MS + 500), ("INFO next", "info", MS + 5500)]
    await part.close()


# --- the journal -----------------------------------------------------------------------------------------------------


async def until(part: Journald, lines: int) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    async with asyncio.timeout(20):
        while len(found) < lines:
            found += told(await look(part))
    return found


async def test_the_journal_goes_on_behind_its_cursor(tmp_path: Path) -> None:
    program = journalctl(tmp_path)
    add(tmp_path, entry(1, "old"), entry(2, "newest"))
    part = Journald(name="j", program=program)
    assert [text for text, _, _ in await until(part, 1)] == ["newest"]
    beyond = '{"__CURSOR": "s=1;i=4", "MESSAGE": "x", "PRIORITY": 1e999}'
    add(tmp_path, entry(3, "disk gone", 2), entry(4, [0xE4, 0xB8, 0xAD, 0xFF], 4), "{broken", beyond, entry(5, None, 7))
    assert await until(part, 3) == [
        ("disk gone", "critical", MS + 3), ("中\ufffd", "warning", MS + 4), ("", "debug", MS + 5),
    ]  # fmt: skip
    position = json.loads(json.dumps(part.position()))
    await part.close()
    add(tmp_path, entry(6, "while away"))
    part = Journald(name="j", program=program)
    part.restore(position)
    assert [text for text, _, _ in await until(part, 1)] == ["while away"]
    await part.close()


async def test_a_real_journal_gives_its_entries_whole_over_boots_and_restarts(tmp_path: Path) -> None:
    """Without ``--all`` journalctl writes null for a text of more than 4 KiB, with ``--follow`` the last boot only."""
    program, folder = need("journalctl"), str(tmp_path)
    written(tmp_path, "a", MESSAGE=b"old")
    part = Journald(name="j", program=program, directory=folder)
    assert [text for text, _, _ in await until(part, 1)] == ["old"]
    long = "中" * 20_000
    written(tmp_path, "a", MESSAGE=long.encode(), PRIORITY=b"3", _SYSTEMD_UNIT=b"shop.service", _HOSTNAME=b"a")
    assert await until(part, 1) == [(long, "error", MS)]
    written(tmp_path, "a", MESSAGE=b"before the boot")
    written(tmp_path, "b", MESSAGE=b"two\nlines \xff", PRIORITY=b"4")
    position = json.loads(json.dumps(part.position()))
    await part.close()
    part = Journald(name="j", program=program, directory=folder)
    part.restore(position)
    after = [("before the boot", "info", MS), ("two\nlines \ufffd", "warning", MS)]
    assert await until(part, 2) == after
    assert await look(part) == []
    written(tmp_path, "c", MESSAGE=b"booted while it was read")
    assert [text for text, _, _ in await until(part, 1)] == ["booted while it was read"]
    await part.close()


async def test_a_journalctl_that_fails_or_is_missing_is_a_reason(tmp_path: Path) -> None:
    part = Journald(name="j", program=journalctl(tmp_path))
    part.restore({"cursor": "no-such-cursor"})
    async with asyncio.timeout(20):
        with pytest.raises(CollectError, match="Failed to seek to cursor"):
            await until(part, 1)
    await part.close()
    with pytest.raises(CollectError, match="install systemd's tools"):
        await look(Journald(name="j", program=str(tmp_path / "nothing")))


# --- syslog ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "row"),
    [
        (
            b"<34>1 2026-11-22T12:00:01.5Z web su - ID47 - \xef\xbb\xbf'su root' failed",
            Row(MS + 1500, 5, (("app", "su"), ("hostname", "web")), "'su root' failed"),
        ),
        (
            b'<165>1 2026-11-22T12:00:00Z - evntslog 8 - [ex@1 a="b\\]"] text',
            Row(MS, 2, (("app", "evntslog"),), '[ex@1 a="b\\]"] text'),
        ),
        (b"<11>Nov 22 12:00:00 sw1 sshd[42]: bad\n", Row(MS, 4, (("app", "sshd"), ("hostname", "sw1")), "bad")),
        (
            b"<11>Nov 22 08:00:00 sw1 sshd[42]: of another zone\n",
            Row(MS, 4, (("app", "sshd"), ("hostname", "sw1")), "of another zone"),
        ),
        (
            b"<13>2026-11-22T20:00:01.5+08:00 sw1 sshd: relayed",
            Row(MS + 1500, 2, (("app", "sshd"), ("hostname", "sw1")), "relayed"),
        ),
        (b"<190>%LINK-3-UPDOWN: down", Row(MS, 2, (("app", "LINK"),), "%LINK-3-UPDOWN: down")),
        (
            b"<189>45: *Nov 22 12:00:01.345: %SYS-5-CONFIG_I: Configured",
            Row(MS + 1345, 2, (("app", "SYS"),), "%SYS-5-CONFIG_I: Configured"),
        ),
        (
            b"<187>46: core1: Nov 22 12:00:01.345 UTC: %LINK-3-UPDOWN: Gi0/1 down",
            Row(MS + 1345, 4, (("app", "LINK"), ("hostname", "core1")), "%LINK-3-UPDOWN: Gi0/1 down"),
        ),
        (
            b"<166>Nov 22 2026 12:00:01: %ASA-6-302013: Built",
            Row(MS + 1000, 2, (("app", "ASA"),), "%ASA-6-302013: Built"),
        ),
        (
            b"<166>Nov 22 2026 12:00:01 fw1 : %ASA-6-302013: Built",
            Row(MS + 1000, 2, (("app", "ASA"), ("hostname", "fw1")), "%ASA-6-302013: Built"),
        ),
        (b"<166>Nov 22 2019 12:00:01 fw1 x: y", Row(MS, 2, (("app", "x"), ("hostname", "fw1")), "y")),
        (b"<13>Nov 22 12:00:00 root: nobody named a host", Row(MS, 2, (("app", "root"),), "nobody named a host")),
        (b"<13> Nov 22 12:00:00 a (sd)[1]: x", Row(MS, 2, (("app", "(sd)"), ("hostname", "a")), "x")),
        (b"<134>CEF:0|Vendor|waf|1.0|100|stopped|10|", Row(MS, 2, (), "CEF:0|Vendor|waf|1.0|100|stopped|10|")),
        (b"<13>17: no clock", Row(MS, 2, (), "17: no clock")),
        (b"<999>x", Row(MS, 0, (), "<999>x")),
        (b"<12>\xd6\xd0 bad bytes", Row(MS, 3, (), "\ufffd\ufffd bad bytes")),
        (b"", Row(MS, 0, (), "")),
    ],
)
def test_messages_of_every_form_are_lines(raw: bytes, row: Row) -> None:
    assert parse(raw, MS) == row


def test_who_names_no_host_is_known_by_address_and_other_encodings_are_read() -> None:
    assert parse(b"<189>45: *Nov 22 12:00:00: %SYS-5-X: y", MS, "10.0.0.1").own == (
        ("app", "SYS"),
        ("hostname", "10.0.0.1"),
    )
    assert parse(b"<13>1 - - - - - - x", MS, "10.0.0.1").own == (("hostname", "10.0.0.1"),)
    assert parse(b"<13>1 - web - - - - x", MS, "10.0.0.1").own == (("hostname", "web"),)
    for raw in ("<12>磁盘 满".encode("gb18030"), "<12>磁盘 满".encode()):
        assert parse(raw, MS, encoding="gb18030").text == "磁盘 满"


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_the_same_however_they_arrive(seed: int) -> None:
    chance = random.Random(seed)
    wire = b"5 <1>a\n<2>line\n3 abc<3>more\nlast"
    frames, found, at = Frames(100), list[bytes](), 0
    while at < len(wire):
        step = chance.randrange(1, 6)
        found += frames.feed(wire[at : at + step])
        at += step
    assert (found, frames.rest()) == ([b"<1>a\n", b"<2>line", b"abc", b"<3>more"], b"last")
    assert Frames(100).feed(b"x" * 101) == []


Send = Callable[[int, Path], None]


def udp(port: int, _ca: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"<11>one", ("127.0.0.1", port))


def tcp(port: int, _ca: Path) -> None:
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(b"7 <11>one")


def tls(port: int, ca: Path) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    raw = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(raw, server_hostname="watchkeeper.example") as one:
        one.sendall(b"<11>one\n")


@pytest.mark.parametrize("send", [udp, tcp, tls])
async def test_each_way_in_brings_lines(send: Send, tmp_path: Path) -> None:
    certificate, key = self_made(tmp_path)
    part = Syslog(name="s", listen="127.0.0.1:0", protocol=send.__name__, certificate=certificate, key=key)  # type: ignore[arg-type]
    assert await look(part) == []
    await asyncio.to_thread(send, part.port, certificate)
    found: list[LogBatch] = []
    async with asyncio.timeout(20):
        while not found:
            await asyncio.sleep(0.01)
            found = await look(part)
    assert told(found) == [("one", "error", MS)]
    assert label(found[0].labels, "hostname") == "127.0.0.1"
    await part.close()


async def test_what_is_too_much_is_refused_and_counted() -> None:
    part = Syslog(name="s", listen="127.0.0.1:0", max_waiting=2)
    for _ in range(5):
        part.take(b"<11>x")
    found = await part.collect(NOON, NOBODY)
    assert (sum(map(len, found.logs)), found.rejected) == (2, {"queue_full": 3})
    other = Syslog(name="t", listen=f"127.0.0.1:{part.port}")
    with pytest.raises(CollectError, match="cannot listen on"):
        await look(other)
    await part.close()
    with pytest.raises(ValueError, match="tls needs certificate and key"):
        Syslog(name="s", listen="127.0.0.1:0", protocol="tls")
