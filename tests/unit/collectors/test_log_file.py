from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.targets import TRUST

from collectors.log_file import LogFile
from collectors.log_rotation import Family
from collectors.log_siblings import is_rotated
from collectors.log_tail import print_of
from collectors.log_text import LONG, decode, is_utf8, join
from watchkeeper.model import Tick, label, metric_name
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


class Reader:
    """A collector with its own sense of time; remembers every line it ever gave."""

    def __init__(self, outbound: Outbound, *paths: str, **options: Any) -> None:
        self.outbound, self.now, self.lines = outbound, NOON, list[str]()
        self.options = {"name": "app", "paths": list(paths), **options}
        self.part = LogFile(**self.options)
        self.tick: Tick | None = None

    async def look(self, seconds: float = 5) -> list[str]:
        self.now += timedelta(seconds=seconds)
        found = await self.part.collect(self.now, self.outbound)
        (self.tick,) = found.ticks
        new = [text for batch in found.logs for text in batch.texts()]
        self.lines += new
        return new

    async def restart(self) -> None:
        position = json.loads(json.dumps(self.part.position()))
        await self.part.close()
        self.part = LogFile(**self.options)
        self.part.restore(position)

    def counts(self, name: str) -> dict[str, float]:
        assert self.tick is not None
        rows = zip(self.tick.layout.series, self.tick.values.tolist(), strict=True)
        return {label(s, "severity") or label(s, "file"): v for s, v in rows if metric_name(s) == name}


def add(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


async def test_old_lines_are_left_and_new_ones_read(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    add(log, "old")
    reader = Reader(outbound, f"{tmp_path}/*.log")
    assert await reader.look() == []
    add(log, "one", "two")
    assert await reader.look() == ["one", "two"]
    add(tmp_path / "b.log", "first of a new file")
    assert await reader.look() == ["first of a new file"]
    assert reader.counts("watchkeeper_log_files") == {"": 2.0}


async def test_a_half_line_waits_for_its_end_even_across_the_start(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"old\nhalf")
    reader = Reader(outbound, str(log))
    assert await reader.look() == []
    with log.open("ab") as file:
        file.write(b" done\r\nnext")
    assert await reader.look() == ["half done"]
    await reader.restart()
    with log.open("ab") as file:
        file.write(b" too\n")
    assert await reader.look() == ["next too"]


async def test_from_beginning_reads_what_is_there(tmp_path: Path, outbound: Outbound) -> None:
    add(tmp_path / "a.log", "one")
    assert await Reader(outbound, f"{tmp_path}/a.log", from_beginning=True).look() == ["one"]


async def test_bad_bytes_are_replaced_and_nothing_is_lost(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    log.touch()
    reader = Reader(outbound, str(log))
    await reader.look()
    log.write_bytes(b"caf\xe9\na\0b\n\0\0\0\0after\ncr\r\n\n\x1b[31mred\x1b[0m\n\xe2\x80\xaebidi\n")
    assert await reader.look() == ["caf\ufffd", "a\ufffdb", "after", "cr", "", "\x1b[31mred\x1b[0m", "\u202ebidi"]


async def test_a_line_of_a_megabyte_is_kept_and_a_longer_one_cut_and_counted(
    tmp_path: Path, outbound: Outbound
) -> None:
    log = tmp_path / "a.log"
    log.touch()
    reader = Reader(outbound, str(log))
    await reader.look()
    with log.open("wb") as file:
        file.write(b"x" * (1 << 20) + b"\n" + b"y" * ((1 << 20) + 1) + b"\nshort\n")
        file.write(b"z" * (5 << 20))
    found = await reader.look()
    assert [len(line) for line in found] == [1 << 20, 1 << 20, 5, 1 << 20]
    await reader.restart()
    assert await reader.look() == []
    with log.open("ab") as file:
        file.write(b"still z\nafter\n")
    assert await reader.look() == ["after"]
    assert reader.counts("watchkeeper_log_cut_lines_total") == {str(log): 0.0}, "counted before the restart"


async def test_gb18030_is_read_when_told(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    log.touch()
    reader = Reader(outbound, str(log), encoding="gb18030")
    await reader.look()
    log.write_bytes("错误:数据库连接失败\n".encode("gb18030"))
    assert await reader.look() == ["错误:数据库连接失败"]
    assert reader.counts("watchkeeper_log_lines_total") == {"error": 1.0}


async def test_lines_of_one_record_are_joined_when_told(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    log.touch()
    reader = Reader(outbound, str(log), multiline_start=r"\d{4}-")
    await reader.look()
    add(log, "2026-01-01 ERROR x", "  at f", "  at g", "2026-01-02 INFO y")
    assert await reader.look() == ["2026-01-01 ERROR x\n  at f\n  at g", "2026-01-02 INFO y"]
    assert reader.counts("watchkeeper_log_lines_total") == {"error": 1.0, "info": 1.0}


async def test_an_unreadable_file_is_counted_and_the_others_go_on(
    tmp_path: Path, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open  # root may read everything, so the refusal is made here

    def guarded(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if str(path).endswith("secret.log"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", guarded)
    add(tmp_path / "a.log", "one")
    add(tmp_path / "secret.log", "two")
    reader = Reader(outbound, f"{tmp_path}/*.log", from_beginning=True)
    assert await reader.look() == ["one"]
    assert reader.counts("watchkeeper_log_errors_total") == {
        str(tmp_path / "a.log"): 0.0,
        str(tmp_path / "secret.log"): 1.0,
    }


async def test_more_files_than_allowed_are_counted(tmp_path: Path, outbound: Outbound) -> None:
    for n in range(5):
        add(tmp_path / f"f{n}.log", "x")
    reader = Reader(outbound, f"{tmp_path}/*.log", max_files=3)
    await reader.look()
    assert reader.counts("watchkeeper_log_files") == {"": 3.0}
    assert reader.counts("watchkeeper_log_files_ignored") == {"": 2.0}


async def test_a_deleted_log_is_forgotten_and_a_new_one_read(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    add(log, "old")
    reader = Reader(outbound, f"{tmp_path}/*.log")
    await reader.look()
    with log.open("a") as file:
        log.unlink()
        file.write("last words, no end")
        file.flush()
    for _ in range(3):
        await reader.look(seconds=70)
    assert reader.lines == ["last words, no end"]
    assert reader.counts("watchkeeper_log_files") == {"": 0.0}
    add(log, "again")
    assert await reader.look() == ["again"]
    (stale,) = reader.part.stale_ticks(NOON)
    assert len(stale.layout) > 0
    await reader.part.close()


# --- rotation -------------------------------------------------------------------------------------------------------


class Rotating:
    """A log that is written and rotated as logrotate does, keeping ``keep`` old generations."""

    def __init__(self, log: Path, *, copytruncate: bool, keep: int) -> None:
        self.log, self.copytruncate, self.keep, self.written = log, copytruncate, keep, list[str]()
        log.touch()

    def write(self, lines: int) -> None:
        new = [f"line {len(self.written) + n}" for n in range(lines)]
        self.written += new
        add(self.log, *new)

    def name(self, generation: int) -> Path:
        return self.log.with_name(f"{self.log.name}.{generation}")

    def shift(self) -> None:
        self.name(self.keep).unlink(missing_ok=True)
        for generation in range(self.keep - 1, 0, -1):
            if self.name(generation).exists():
                self.name(generation).rename(self.name(generation + 1))

    def copy(self) -> None:
        shutil.copyfile(self.log, self.name(1))

    def empty(self) -> None:
        with self.log.open("r+") as file:
            file.truncate(0)

    def rename(self) -> None:
        self.log.rename(self.name(1))

    def create(self) -> None:
        self.log.touch()

    @property
    def steps(self) -> list[Any]:
        return [self.shift, self.copy, self.empty] if self.copytruncate else [self.shift, self.rename, self.create]


@pytest.mark.parametrize("copytruncate", [False, True], ids=["rename", "copytruncate"])
@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 12))])
async def test_200_random_rotations_lose_and_double_no_line(
    tmp_path: Path, outbound: Outbound, *, copytruncate: bool, pattern: str, seed: int
) -> None:
    chance = random.Random(seed)
    log = Rotating(tmp_path / "app.log", copytruncate=copytruncate, keep=6)
    reader = Reader(outbound, f"{tmp_path}/{pattern}")
    await reader.look()
    since_look = 0
    for _ in range(200):
        since_look += 1
        for step in log.steps:
            if not copytruncate or step == log.shift:
                log.write(chance.randrange(4))  # between copy and truncation logrotate itself loses what is written
            step()
            if chance.random() < 0.35 or since_look >= 4:
                await reader.look(seconds=chance.choice([1, 5, 70]))
                since_look = 0
            if chance.random() < 0.05:
                await reader.restart()
                await reader.look()
        log.write(chance.randrange(5))
    for _ in range(3):
        await reader.look(seconds=70)
    assert sorted(reader.lines) == sorted(log.written)
    assert sum(reader.counts("watchkeeper_log_lost_ends_total").values()) == 0.0
    await reader.part.close()


async def test_a_position_holds_not_a_byte_of_the_file(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    log.touch()
    reader = Reader(outbound, str(log))
    await reader.look()
    add(log, "password=hunter2")
    await reader.look()
    said = json.dumps(reader.part.position())
    assert "hunter2" not in said
    assert b"hunter2".hex() not in said


async def test_the_end_of_an_emptied_file_without_a_copy_is_counted_as_lost(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    add(log, "old line of some length")
    reader = Reader(outbound, str(log))
    await reader.look()
    log.write_text("new\n")
    assert await reader.look() == ["new"]
    assert reader.counts("watchkeeper_log_lost_ends_total") == {str(log): 1.0}


async def test_a_file_rewritten_longer_than_before_is_seen_as_new(tmp_path: Path, outbound: Outbound) -> None:
    log = tmp_path / "a.log"
    add(log, "old")
    reader = Reader(outbound, str(log))
    await reader.look()
    log.write_text("brand new and longer\n")
    assert await reader.look() == ["brand new and longer"]


async def test_rotation_while_the_process_was_away_is_caught_up(tmp_path: Path, outbound: Outbound) -> None:
    log = Rotating(tmp_path / "app.log", copytruncate=False, keep=6)
    reader = Reader(outbound, str(log.log))
    log.write(3)
    await reader.look()
    position = json.loads(json.dumps(reader.part.position()))
    await reader.part.close()
    before = len(log.written)
    for _ in range(3):
        log.write(2)
        for step in log.steps:
            step()
        log.write(1)
    reader.part = LogFile(**reader.options)
    reader.part.restore(position)
    await reader.look()
    assert sorted(reader.lines) == sorted(log.written[before:])


async def test_an_empty_file_that_was_open_claims_no_other_that_has_its_inode_by_now(
    tmp_path: Path, outbound: Outbound
) -> None:
    log = tmp_path / "app.log"
    reader = Reader(outbound, str(log), from_beginning=True)
    add(log, "one")
    await reader.look()
    position = json.loads(json.dumps(reader.part.position()))
    await reader.part.close()
    add(log, "two")
    packed = tmp_path / "app.log.1.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    tails = position["files"][str(log)]["tails"]
    nothing = [0, print_of(b"")[1]]
    tails.insert(0, {**tails[0], "inode": packed.stat().st_ino, "offset": 0, "head": nothing, "tail": nothing})
    add(log, "three")
    reader.part = LogFile(**reader.options)
    reader.part.restore(position)
    for _ in range(5):
        await reader.look()
    assert sorted(reader.lines) == ["one", "three", "two"]


@pytest.mark.parametrize("copytruncate", [False, True])
async def test_a_rotation_in_the_middle_of_the_first_look_after_a_restart_doubles_no_line(
    tmp_path: Path, outbound: Outbound, monkeypatch: pytest.MonkeyPatch, *, copytruncate: bool
) -> None:
    """What lies beside the log is listed; then the log is rotated; then the log is opened."""
    log = Rotating(tmp_path / "app.log", copytruncate=copytruncate, keep=6)
    reader = Reader(outbound, str(log.log))
    await reader.look()
    log.write(3)
    await reader.look()
    position = json.loads(json.dumps(reader.part.position()))
    await reader.part.close()
    log.write(2)
    listed = Family._siblings
    turns = iter([True])

    def rotated_after(family: Family, emptied: Any) -> Any:
        found = listed(family, emptied)
        if next(turns, False):
            for step in log.steps:
                step()
            log.write(1)
        return found

    monkeypatch.setattr(Family, "_siblings", rotated_after)
    for _ in range(3):
        reader.part = LogFile(**reader.options)
        reader.part.restore(position)
        await reader.look()
        position = json.loads(json.dumps(reader.part.position()))
        await reader.part.close()
    assert sorted(reader.lines) == sorted(log.written)


@pytest.mark.parametrize(
    ("name", "rotated"),
    [
        ("app.log.1", True),
        ("app.log-20261122", True),
        ("app.log.2026-11-22", True),
        ("app-20261122.log", True),
        ("app.log.old", True),
        ("app.log", False),
        ("app-error.log", False),
        ("app2.log", False),
        ("app.log.1.gz", False),
        ("app.logs", False),
    ],
)
def test_names_that_rotation_makes(name: str, *, rotated: bool) -> None:
    assert is_rotated(name, "app.log") is rotated


# --- text -----------------------------------------------------------------------------------------------------------

#: Overlong forms, surrogates, beyond the last character, halves, and what is whole.
FORMS = (
    "c080",
    "e08080",
    "f0808080",
    "eda080",
    "f4908080",
    "f8888080",
    "c3",
    "e4bd",
    "80",
    "fffe",
    "e4bda0",
    "f48fbfbf",
)


@given(st.lists(st.sampled_from([bytes.fromhex(form) for form in FORMS]) | st.binary(max_size=4), max_size=3))
def test_long_texts_are_held_to_the_same_characters_as_short_ones(parts: list[bytes]) -> None:
    raw = "订单".encode() + b"".join(parts)
    long = b"x" * LONG + raw
    assert is_utf8(long) is is_utf8(raw)
    assert decode(long, "utf-8")[LONG:] == decode(raw, "utf-8")


def test_decode_and_join_take_edge_cases() -> None:
    assert decode(b"\0\0\n", "utf-8") == b"\n"
    assert decode(b"\x81\x30\nnext\n", "gb18030").splitlines()[1:] == [b"next"], "half a character takes no line end"
    assert join([], "x") == []
    assert join(["b", "a", "b"], "a") == ["b", "a\nb"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paths": ["relative.log"]}, "absolute"),
        ({"paths": []}, "at least 1"),
        ({"paths": ["/x"], "multiline_start": "("}, "no RE2 pattern"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogFile(**options)
