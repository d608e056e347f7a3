"""Lines of one person are taken out of the store; all others stay, in their order, over restarts and kills."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from watchkeeper.errors import StoreError
from watchkeeper.model import LogBatch, labels
from watchkeeper.person import Person
from watchkeeper.store.logs import LogLines, Question
from watchkeeper.store.samples.disk import Disk

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIN = Person(["lin@example.com"])


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[LogLines]:
    store = LogLines(tmp_path / "lines")
    yield store
    store.close()


def tell(store: LogLines, *texts: str, now: datetime = NOON, **more: str) -> None:
    batch = LogBatch.of(labels(None, service="shop", **more), texts, int(now.timestamp() * 1000), [0] * len(texts))
    store.append("app", [batch], {"n": texts[-1]}, now)


def texts(store: LogLines, query: str = "") -> list[str]:
    return [line.text for line in store.search(Question(query=query)).lines]


def test_lines_that_name_the_person_go_and_all_others_stay(lines: LogLines, tmp_path: Path) -> None:
    tell(lines, "a", "mail to Lin@example.com sent", "b")
    lines.maintain(NOON + timedelta(hours=1))
    tell(lines, "c", "lin@example.com.cn is somebody else", now=NOON + timedelta(hours=2))
    tell(lines, "by a label", now=NOON + timedelta(hours=2), user="lin@example.com")
    seen = lines.erase(LIN, NOON + timedelta(hours=2), dry_run=True)
    assert (seen.lines, seen.unreadable) == (2, 0)
    assert len(texts(lines)) == 6, "a dry run changes nothing"
    done = lines.erase(LIN, NOON + timedelta(hours=2), dry_run=False)
    assert (done.lines, done.segments) == (2, 2)
    left = ["lin@example.com.cn is somebody else", "c", "b", "a"]
    assert texts(lines) == left
    assert texts(lines, "mail") == [], "the index has forgotten them too"
    assert lines.erase(LIN, NOON + timedelta(hours=3), dry_run=True).lines == 0
    assert lines.positions() == {"app": {"n": "by a label"}}, "what was read is not read again"
    lines.close()
    again = LogLines(tmp_path / "lines")
    assert texts(again) == left
    assert again.positions() == {"app": {"n": "by a label"}}
    tell(again, "d", now=NOON + timedelta(hours=3))
    assert texts(again)[0] == "d"
    again.close()


def test_a_segment_of_nothing_else_goes_as_a_whole(lines: LogLines, tmp_path: Path) -> None:
    tell(lines, "lin@example.com")
    assert lines.erase(LIN, NOON, dry_run=False).lines == 1
    assert texts(lines) == []
    assert not list((tmp_path / "lines").glob("*.lines"))


def test_a_kill_before_the_old_segment_is_removed_leaves_no_line_twice(lines: LogLines, tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    tell(lines, "a", "lin@example.com", "b")
    lines.maintain(NOON + timedelta(hours=2))
    [old] = folder.glob("*.lines")
    shutil.copy2(old, tmp_path / old.name)
    lines.erase(LIN, NOON, dry_run=False)
    lines.close()
    shutil.copy2(tmp_path / old.name, old)
    again = LogLines(folder)
    assert texts(again) == ["b", "a"]
    assert len(list(folder.glob("*.lines"))) == 1
    again.close()


def test_damaged_segments_are_told_and_kept_whole(lines: LogLines, tmp_path: Path) -> None:
    tell(lines, "a", "lin@example.com")
    lines.maintain(NOON + timedelta(hours=2))
    [path] = (tmp_path / "lines").glob("*.lines")
    body = bytearray(path.read_bytes())
    body[40] ^= 0xFF
    path.write_bytes(body)
    found = lines.erase(LIN, NOON, dry_run=False)
    assert (found.lines, found.unreadable) == (0, 1)
    assert path.exists()


class NoSpace(Disk):
    broken = False

    def create(self, path: Path) -> int:
        if self.broken:
            raise OSError(28, "No space left on device")
        return super().create(path)


def test_a_full_disk_loses_nothing_and_says_to_ask_again(tmp_path: Path) -> None:
    disk = NoSpace()
    store = LogLines(tmp_path / "lines", disk=disk)
    tell(store, "a", "lin@example.com")
    store.maintain(NOON + timedelta(hours=2))
    disk.broken = True
    with pytest.raises(StoreError, match="ask again"):
        store.erase(LIN, NOON, dry_run=False)
    assert texts(store) == ["lin@example.com", "a"]
    disk.broken = False
    assert store.erase(LIN, NOON, dry_run=False).lines == 1
    assert texts(store) == ["a"]
    store.close()
