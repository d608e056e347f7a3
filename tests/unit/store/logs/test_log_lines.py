"""The log store: lines and positions are one fact, survive every cut, are found again, and go in their time."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.errors import QueryError, StoreError, StoreFullError
from watchkeeper.model import LogBatch
from watchkeeper.store.logs import LogLines, Question, RetentionClass
from watchkeeper.store.samples.disk import Disk

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = int(NOON.timestamp() * 1000)
LABELS = (("file", "/var/log/app.log"), ("service", "shop"))


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[LogLines]:
    store = LogLines(tmp_path)
    yield store
    store.close()


def batch(*texts: str, at: int = MS, severity: int = 0, **more: str) -> LogBatch:
    labels = tuple(sorted({**dict(LABELS), **more}.items()))
    return LogBatch.of(labels, texts, at, [severity] * len(texts))


def texts(store: LogLines, query: str = "", **options: Any) -> list[str]:
    return [line.text for line in store.search(Question(query=query, **options)).lines]


def test_lines_come_back_newest_first_and_by_pages(lines: LogLines) -> None:
    for number in range(10):
        lines.append("app", [batch(f"n{number}", at=MS + number // 3)], {"n": number}, NOON)
    assert texts(lines, limit=4) == ["n9", "n8", "n7", "n6"]
    found, seen, before = None, [], None
    while found is None or found.more:
        found = lines.search(Question(limit=3, before=before))
        seen += [line.text for line in found.lines]
        before = (found.lines[-1].time_ms, found.lines[-1].sequence)
    assert seen == [f"n{number}" for number in range(9, -1, -1)]
    lines.maintain(NOON + timedelta(hours=1))
    assert texts(lines, limit=100) == seen, "sealing changes no order"


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("HELLO", "a"),
        ("hell", ""),
        ("hello world", "a"),
        ('"hello world"', "a"),
        ('"world hello"', ""),
        ("-hello", "bcd"),
        ("数据库", "a"),
        ("据库连", "a"),
        ("level=error", "b"),
        ('user="a b"', "b"),
        ("user~a.*", "b"),
        ("-user~a.*", "acd"),
        ("n.a=5", "c"),
        ("msg=Hi", "c"),
        ("name=中文", "c"),
        ("/w.rld|Hi/", "ac"),
        ("-/w.rld/", "bcd"),
        ("file=/var/log/app.log", "abcd"),
        ("kind=audit", "d"),
        ("10.0.0.7", "d"),
        ("10.0.0", "d"),
        ("0.0.7x", ""),
        ("trace-id", "d"),
        ("nowhere-to-be-found", ""),
        ('"10.0.0.7 trace"', "d"),
    ],
)
def test_questions(lines: LogLines, query: str, found: str, *, sealed: bool) -> None:
    one = batch(
        "a hello world 数据库连接失败", 'b level=error user="a b"', 'c {"msg":"Hi","n":{"a":5},"name":"\\u4e2d\\u6587"}'
    )
    lines.append("app", [one, batch("d from 10.0.0.7 trace-id", kind="audit")], None, NOON)
    if sealed:
        lines.maintain(NOON + timedelta(hours=1))
    assert sorted(text[0] for text in texts(lines, query)) == list(found)


@pytest.mark.parametrize(
    ("query", "message"), [("/(/", "no RE2 pattern"), ("x" * 2001, "shorten"), ("a " * 31, "leave some out")]
)
def test_questions_that_cannot_be_read_are_refused(lines: LogLines, query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        texts(lines, query)


def test_range_service_and_severity_narrow_the_answer_and_counts_tell_the_rest(lines: LogLines) -> None:
    for number in range(6):
        lines.append("app", [batch(f"n{number}", at=MS + number * 1000, severity=number)], None, NOON)
    lines.append("db", [batch("other", service="db")], None, NOON)
    assert texts(lines, start_ms=MS + 2000, end_ms=MS + 3000) == ["n3", "n2"]
    assert texts(lines, severities=frozenset({4, 5})) == ["n5", "n4"]
    assert texts(lines, service="db") == ["other"]
    found = lines.search(Question(query="-other", start_ms=MS, end_ms=MS + 5999, buckets=3, limit=1))
    assert found.counts.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert (found.matched, [line.text for line in found.lines], found.more) == (6, ["n5"], True)


def test_a_question_without_time_answers_what_it_found_and_says_so(lines: LogLines) -> None:
    lines.append("app", [batch("x")], None, NOON)
    found = lines.search(Question(seconds=-1))
    assert (found.lines, found.partial) == ([], True)


# --- lives ----------------------------------------------------------------------------------------------------------


class CutError(Exception):
    """The process ends here."""


class CuttingDisk(Disk):
    """Ends the process at its n-th change; what was written then is half there."""

    def __init__(self, after: int) -> None:
        self.left = after

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise CutError

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        try:
            self._step()
        except CutError:
            super().write(descriptor, data[: len(data) // 2])
            raise
        return super().write(descriptor, data)

    def create(self, path: Path) -> int:
        self._step()
        return super().create(path)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def rename(self, source: Path, destination: Path) -> None:
        self._step()
        super().rename(source, destination)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 30))])
def test_a_process_killed_at_any_step_loses_and_doubles_no_line(tmp_path: Path, seed: int) -> None:
    """A reader that goes on from the position that is kept, as collectors do; 60 lives."""
    chance, when, written = random.Random(seed), NOON, 200
    classes = [RetentionClass(name="odd", match={"kind": "odd"}, retention=timedelta(days=999))]
    for _ in range(60):
        when += timedelta(minutes=chance.choice([1, 50, 70]))
        store = None
        try:
            store = LogLines(tmp_path, classes=classes, disk=CuttingDisk(chance.randrange(40)))
            at = int(store.positions().get("app", {}).get("n", 0))
            while True:
                step = min(chance.randrange(4), written - at)
                one = batch(*(f"n{number}" for number in range(at, at + step)), kind=chance.choice(["odd", "even"]))
                store.append("app", [one] if step else [], {"n": at + step}, when)
                at += step
                when += timedelta(minutes=chance.randrange(9))
                if chance.random() < 0.2:
                    store.maintain(when)
                if at == written:
                    raise CutError
        except CutError:
            if store is not None:
                store._held.release()  # as the kernel does
    store = LogLines(tmp_path)
    assert store.positions() == {"app": {"n": written}}
    assert sorted(texts(store, limit=1000)) == sorted(f"n{number}" for number in range(written))
    assert store.stats()["damaged"] == 0
    store.close()


def test_damage_costs_what_it_hits_is_counted_and_set_aside(tmp_path: Path) -> None:
    store = LogLines(tmp_path)
    for number in range(9):
        store.append("app", [batch(f"n{number} " + os.urandom(300).hex())], {"n": number}, NOON)
    store.close()
    (path,) = tmp_path.glob("*.active")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    store = LogLines(tmp_path)
    assert len(texts(store)) == 8
    assert (store.stats()["damaged"], store.positions()) == (1, {"app": {"n": 8}})
    store.maintain(NOON + timedelta(hours=2))
    assert len(texts(store)) == 8
    store.close()
    (path,) = tmp_path.glob("*.lines")
    path.write_bytes(path.read_bytes()[:-5])
    store = LogLines(tmp_path)
    assert len(texts(store)) == 8, "without its index a segment is read through"
    assert store.stats()["damaged"] == 1
    store.close()


class FullDisk(Disk):
    full = False

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self.full:
            super().write(descriptor, data[:3])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)


def test_a_full_disk_refuses_lines_until_there_is_room_again(tmp_path: Path) -> None:
    disk = FullDisk()
    store = LogLines(tmp_path, disk=disk)
    store.append("app", [batch("one")], {"n": 1}, NOON)
    disk.full = True
    with pytest.raises(StoreFullError):
        store.append("app", [batch("two")], {"n": 2}, NOON)
    assert (store.stats()["full"], store.positions()) == (1, {"app": {"n": 1}})
    disk.full = False
    store.append("app", [batch("three")], {"n": 3}, NOON)
    assert (store.stats()["full"], texts(store)) == (0, ["three", "one"])
    store.close()
    again = LogLines(tmp_path)
    assert (texts(again), again.stats()["damaged"]) == (["three", "one"], 0)
    again.close()


def test_classes_are_kept_for_their_own_time_and_all_of_them_within_the_size(tmp_path: Path) -> None:
    classes = [RetentionClass(name="audit", match={"file": "/audit/.*"}, retention=timedelta(days=100))]
    store = LogLines(tmp_path, retention=timedelta(days=10), classes=classes)
    store.append("app", [batch("short"), batch("long", file="/audit/x")], None, NOON)
    store.maintain(NOON + timedelta(hours=1))
    assert store.maintain(NOON + timedelta(days=11))["dropped"] == 1
    assert texts(store) == ["long"]
    store.keep_for(timedelta(days=10), classes, 0)
    assert store.maintain(NOON + timedelta(days=12))["dropped"] == 1
    assert texts(store) == []
    store.close()


def test_one_process_has_the_directory_at_a_time(lines: LogLines, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="in use by process"):
        LogLines(tmp_path)


def test_a_large_segment_is_looked_into_only_where_the_words_may_be(lines: LogLines, tmp_path: Path) -> None:
    for number in range(40):
        rows = [f"line {number} {index} " + "x" * 60 for index in range(2000)]
        lines.append("app", [batch(*rows, f"needle{number}", at=MS + number)], None, NOON)
    lines.maintain(NOON + timedelta(hours=1))
    found = lines.search(Question(query="needle7"))
    assert [line.text for line in found.lines] == ["needle7"]
    assert 0 < found.scanned_bytes < 2 << 20
    copied = tmp_path / "copy"
    shutil.copytree(tmp_path, copied, ignore=shutil.ignore_patterns("lock", "copy"))
    other = LogLines(copied)
    assert texts(other, "needle7") == ["needle7"]
    other.close()
