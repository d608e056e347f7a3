"""The queue of lines: in order, over restarts and kills, and never longer than it may be."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from watchkeeper.errors import StoreError
from watchkeeper.model import LogBatch
from watchkeeper.store.logs import LineQueue

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = int(NOON.timestamp() * 1000)


def opened(folder: Path, *, most: int = 1 << 30, file_bytes: int = 2000) -> LineQueue:
    return LineQueue(folder, most_bytes=most, file_bytes=file_bytes)


def put(queue: LineQueue, first: int, count: int = 3) -> None:
    texts = [f"line {number} {'x' * 90}" for number in range(first, first + count)]
    queue.append("app", [LogBatch.of((("job", "app"),), texts, MS)], {"n": first + count}, NOON)


def left(queue: LineQueue, after: int) -> list[int]:
    """Numbers of the lines that are still to be sent, from that number on."""
    found: list[int] = []
    while (piece := queue.after(after, 150)) is not None:
        assert piece.columns.sequences.tolist() == list(range(after, after + len(piece.columns)))
        found += [int(piece.text(place).split()[1]) for place in range(len(piece.columns))]
        after = int(piece.columns.sequences[-1]) + 1
    return found


def test_lines_go_out_in_order_and_files_go_with_them(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    for turn in range(40):
        put(queue, 3 * turn)
    assert queue.waiting == queue.sequence == 120
    assert len(list(tmp_path.glob("*.active"))) > 3
    assert left(queue, 0) == list(range(120))
    assert queue.waiting == 0
    assert len(list(tmp_path.glob("*.active"))) == 1, "the last one knows the positions"
    queue.close()
    again = opened(tmp_path)
    assert (again.positions(), again.sequence, again.name) == ({"app": {"n": 120}}, 120, queue.name)
    again.close()


def test_a_kill_in_the_middle_of_a_write_costs_that_write_alone(tmp_path: Path) -> None:
    queue = opened(tmp_path, file_bytes=1 << 20)
    put(queue, 0)
    whole = next(tmp_path.glob("*.active")).stat().st_size
    put(queue, 3)
    queue.close()
    path = next(tmp_path.glob("*.active"))
    data = path.read_bytes()
    for cut in range(whole, len(data), 7):
        path.write_bytes(data[:cut])
        again = opened(tmp_path)
        assert (again.positions(), again.sequence) == ({"app": {"n": 3}}, 3), "the reader reads these lines again"
        assert left(again, 0) == [0, 1, 2]
        again.close()
        for later in tmp_path.glob("*.active"):
            later.unlink()


def test_over_its_size_the_oldest_lines_go_and_are_counted(tmp_path: Path) -> None:
    queue = opened(tmp_path, most=3000)
    for turn in range(60):
        put(queue, 3 * turn)
    assert queue.dropped > 0
    assert sum(path.stat().st_size for path in tmp_path.glob("*.active")) < 5000
    found = left(queue, queue.dropped)
    assert found == list(range(queue.dropped, 180))
    queue.close()


def test_a_damaged_collection_costs_its_own_lines(tmp_path: Path) -> None:
    queue = opened(tmp_path, file_bytes=1 << 20)
    for turn in range(3):
        put(queue, 3 * turn)
    queue.close()
    path = next(tmp_path.glob("*.active"))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    again = opened(tmp_path)
    assert again.stats()["damaged"] == 1
    assert again.sequence == 9
    first, second = again.after(0, 1 << 20), again.after(3, 1 << 20)
    assert first is not None
    assert second is not None
    assert [first.columns.sequences[0], second.columns.sequences[0]] == [0, 6]
    again.close()


def test_a_receiver_that_knows_more_is_believed(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    put(queue, 0)
    queue.go_on_at(50)
    assert queue.after(50, 100) is None
    put(queue, 50)
    assert left(queue, 50) == [50, 51, 52]
    queue.close()
    again = opened(tmp_path)
    assert again.sequence == 53
    again.close()


def test_one_process_has_the_directory_at_a_time(tmp_path: Path) -> None:
    queue = opened(tmp_path)
    with pytest.raises(StoreError):
        opened(tmp_path)
    queue.close()
