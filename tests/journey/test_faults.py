"""Faults that stop nobody else: a full disk, hostile targets, odd logs, a broken configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, gauges, scraped, walk
from support.targets import Target, answer, target

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    ballast = folder / "ballast-of-the-test"
    with ballast.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


async def test_a_full_disk_is_counted_survived_and_left_behind(small_disk: Path) -> None:
    async with target() as server:
        server.pages["/metrics"] = gauges(temperature=20)
        engine = build(small_disk, collect=scraped(server))
        await begin(engine)
        await walk(engine, 20)
        ballast = fill(small_disk)
        for _ in range(40):
            await walk(engine, 10)
            if rejected(engine):
                break
        assert rejected(engine) > 0
        assert engine.sources["checkout"].state == "up"
        ballast.unlink()
        await walk(engine, 30)
        before = engine.sources["checkout"].stored
        await walk(engine, 30)
        assert engine.sources["checkout"].stored > before
        assert_ledgers(engine)
        await stop(engine)


def rejected(engine: Engine) -> int:
    found: dict[str, int] = engine.telemetry.ledger()["rejected"]
    return found.get("disk_full", 0)


def two(server: Target, path: str) -> dict[str, Any]:
    """A hostile source beside a good one."""
    good = scraped(server)["sources"][0]
    bad = {**good, "name": "hostile", "url": server.url(path), "timeout": 1.0, "max_bytes": MIB}
    return {"host": False, "own_logs": False, "sources": [bad, good]}


@pytest.mark.parametrize("path", ["/half", "/huge", "/bomb", "/cut", "/silent", "/hang", "/loop", "/garbage"])
async def test_a_hostile_target_harms_nobody_else(tmp_path: Path, path: str) -> None:
    async with target() as server:
        server.pages["/metrics"] = gauges(temperature=20)
        server.pages["/loop"] = answer(b"", status="302 Found", headers="Location: /loop\r\n")
        server.pages["/garbage"] = answer(b"\x00\xff{{{ not a page\n" * 50)
        engine = build(tmp_path, collect=two(server, path))
        await begin(engine)
        await walk(engine, 12)
        assert engine.sources["hostile"].state == "failing"
        assert engine.sources["hostile"].error
        assert engine.sources["checkout"].state == "up"
        at = clock_of(engine).now()
        assert [value for _, value in engine.judging.ask('up{job="hostile"}', at)] == [0.0]
        assert [value for _, value in engine.judging.ask("temperature", at)] == [20.0]
        assert_ledgers(engine)
        await stop(engine)


async def test_an_empty_page_is_no_sample_and_no_error(tmp_path: Path) -> None:
    async with target() as server:
        server.pages["/metrics"] = answer(b"")
        engine = build(tmp_path, collect=scraped(server))
        await begin(engine)
        await walk(engine, 12)
        assert engine.sources["checkout"].samples == 0
        at = clock_of(engine).now()
        assert [value for _, value in engine.judging.ask('scrape_samples_scraped{job="checkout"}', at)] == [0.0]
        assert_ledgers(engine)
        await stop(engine)


async def test_duplicates_and_nan_are_counted_and_kept_apart(tmp_path: Path) -> None:
    async with target() as server:
        server.pages["/metrics"] = answer(b"a 1\na 2\nb NaN\nc 3\n")
        engine = build(tmp_path, collect=scraped(server))
        await begin(engine)
        await walk(engine, 12)
        at = clock_of(engine).now()
        assert [value for _, value in engine.judging.ask("a", at)] == [1.0]
        assert [value for _, value in engine.judging.ask("c", at)] == [3.0]
        assert engine.judging.ask("b == b", at) == []
        assert engine.sources["checkout"].rejected.get("duplicate", 0) >= 2
        assert_ledgers(engine)
        await stop(engine)


async def test_odd_log_lines_and_a_rotation_in_mid_read_lose_nothing(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"")
    source = {"kind": "log_file", "name": "app", "paths": [str(log)], "interval": "5s"}
    engine = build(tmp_path, collect={"host": False, "own_logs": False, "sources": [source]})
    await begin(engine)
    await walk(engine, 6)
    with log.open("ab") as file:
        file.write(b"first\n" + b"x" * (MIB + 100) + b"\nERROR \xff\xfe broken\nhalf")
    await walk(engine, 5)
    with log.open("ab") as file:
        file.write(b" a line\n")
    log.rename(tmp_path / "app.log.1")
    log.write_bytes(b"after the rotation\n")
    await walk(engine, 10)
    counted = engine.telemetry.log_lines.labels("app")._value.get()
    assert counted == 5
    assert_ledgers(engine)
    await stop(engine)
