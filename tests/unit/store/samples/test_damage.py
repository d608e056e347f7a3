"""Damaged bytes cost what they hold, never what lies before or after them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.samples import EVER, Bench, contents, layout, sent_by, wide

from watchkeeper.model import Matrix
from watchkeeper.store.samples.frames import HEADER, Frame, Gap, Salt, pack, scan

SALT = Salt.parse("f700112233445566")


def frames(data: bytes) -> list[tuple[int, bytes] | tuple[int, int, bool]]:
    return [
        (part.start, bytes(part.payload)) if isinstance(part, Frame) else (part.start, part.end, part.torn)
        for part in scan(data, SALT)
    ]


def test_whole_frames_are_read_in_order() -> None:
    one, two = pack(SALT, b"one"), pack(SALT, b"")
    assert frames(one + two) == [(0, b"one"), (len(one), b"")]


def test_a_frame_of_another_segment_is_no_frame() -> None:
    other = Salt(SALT.mark, SALT.seed + 1)
    assert [type(part) for part in scan(pack(other, b"x") + pack(SALT, b"y"), SALT)] == [Gap, Frame]


@pytest.mark.parametrize("cut", range(1, HEADER.size + 5))
def test_an_unfinished_last_frame_is_torn_not_damaged(cut: int) -> None:
    whole, last = pack(SALT, b"first"), pack(SALT, b"12345")
    assert frames((whole + last)[:-cut])[1:] == [(len(whole), len(whole + last) - cut, True)]


def test_zeros_behind_the_last_frame_are_torn() -> None:
    whole = pack(SALT, b"first")
    assert frames(whole + bytes(50))[1:] == [(len(whole), len(whole) + 50, True)]


def test_a_whole_last_frame_with_a_wrong_sum_is_damaged() -> None:
    data = bytearray(pack(SALT, b"first") + pack(SALT, b"second"))
    data[-1] ^= 1
    assert frames(bytes(data))[1:] == [(HEADER.size + 5, len(data), False)]


def filled(directory: Path, size: int) -> Bench:
    """A closed store whose whole log is one segment of at least ``size`` bytes."""
    bench = Bench(directory)
    bench._sizes = type(bench._sizes)(segment_bytes=1 << 30, ballast_bytes=16)
    bench.reopen()
    while bench.store.stats()["log_bytes"] < size:
        bench.run(wide(12), 1)
        bench.run(layout("other", "words"), 1, after=1, target="db")
    bench.store.close()
    return bench


def flip_everywhere(bench: Bench, offsets: range) -> None:
    """Flip one bit at each offset: the store opens, at most one tick is missing, and no value is wrong."""
    store = bench.open()
    bench.check()
    whole = {matrix.series: matrix for matrix in store.select([], *EVER)}
    store.close()
    (segment,) = (bench.directory / "log").glob("*.log")
    data = segment.read_bytes()
    for offset in offsets:
        flipped = bytearray(data)
        flipped[offset] ^= 1 << (offset % 8)
        segment.write_bytes(flipped)
        store = bench.open()
        missing = sum(missing_ticks(whole[matrix.series], matrix) for matrix in store.select([], *EVER))
        figures = store.stats()
        store.close()
        assert missing <= 1, offset
        assert figures["targets"] == len(whole)
        in_end_mark = offset >= len(data) - HEADER.size - 1  # a damaged end mark looks like an unfinished one
        assert figures["damaged_frames"] + figures["torn_tails"] == 1, offset
        assert figures["damaged_frames"] == 1 or in_end_mark
    assert len(list((bench.directory / "damaged").iterdir())) >= 1


def missing_ticks(whole: Matrix, found: Matrix) -> int:
    """How many columns are lost; every other one is the same, bit for bit."""
    places = np.searchsorted(whole.times, found.times)
    assert np.array_equal(whole.times[places], found.times)
    assert np.array_equal(whole.present[:, places], found.present)
    assert whole.values[:, places].tobytes() == found.values.tobytes()
    return len(whole.times) - len(found.times)


def test_one_flipped_bit_costs_at_most_one_tick(tmp_path: Path) -> None:
    bench = filled(tmp_path, 8192)
    (segment,) = (tmp_path / "log").glob("*.log")
    flip_everywhere(bench, range(0, segment.stat().st_size, 97))


@pytest.mark.long
def test_one_flipped_bit_costs_at_most_one_tick_at_every_byte(tmp_path: Path) -> None:
    flip_everywhere(filled(tmp_path, 65_536), range(65_536))


@pytest.mark.parametrize("tail", [b"", b"\x00" * 700, b"half a frame"[:3]])
def test_a_log_cut_anywhere_keeps_what_is_whole(tmp_path: Path, tail: bytes) -> None:
    bench = filled(tmp_path, 4096)
    (segment,) = (tmp_path / "log").glob("*.log")
    whole, data = sent_by(bench.sent), segment.read_bytes()
    fewest = len(whole)
    for size in range(len(data) - 1, 0, -211):
        segment.write_bytes(data[:size] + tail)
        store = bench.open()
        found = contents(store)
        store.close()
        assert found.items() <= whole.items()
        times = {at for _, at in found}
        assert found == {key: bits for key, bits in whole.items() if key[1] in times}
        assert times == set(sorted({at for _, at in whole})[: len(times)])  # a prefix of what was sent
        assert len(found) <= fewest
        fewest = len(found)
    assert fewest == 0


def test_a_missing_and_a_doubled_segment_are_survived(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(12), 120)
    bench.store.close()
    segments = sorted((tmp_path / "log").glob("*.log"))
    assert len(segments) > 4
    number, salt = segments[1].stem.split("-")
    shutil.copy(segments[1], tmp_path / "log" / f"{int(number) + 100:012d}-{salt}.log")
    segments[2].unlink()
    (tmp_path / "log" / "notes.log").write_bytes(b"not mine")
    found = contents(bench.open())
    whole = sent_by(bench.sent)
    assert found.items() < whole.items()
    assert len(whole) - len(found) < len(whole) / 3
    assert (tmp_path / "damaged" / "notes.log").read_bytes() == b"not mine"


def test_a_tick_whose_column_list_is_lost_is_set_aside(tmp_path: Path) -> None:
    bench = filled(tmp_path, 2048)
    (segment,) = (tmp_path / "log").glob("*.log")
    data = bytearray(segment.read_bytes())
    salt = Salt.parse(segment.stem.split("-")[1])
    lists = [part for part in scan(bytes(data), salt) if isinstance(part, Frame) and part.payload[0] == 2]
    for frame in lists[:2]:  # both copies of the first target's list
        data[frame.start + HEADER.size + 20] ^= 255
    segment.write_bytes(data)
    found = contents(bench.open())
    assert found == sent_by([one for one in bench.sent if one.target == "db"])
    ticks = sum(one.target == "web" for one in bench.sent)
    assert bench.store.stats()["damaged_frames"] == ticks + 1  # two neighbouring lists are one damaged place


def blocks_of(bench: Bench) -> list[Path]:
    bench.clock.advance(3 * 3600)
    assert bench.maintain()["blocks_cut"] >= 1
    bench.store.close()
    for segment in (bench.directory / "log").glob("*.log"):
        segment.unlink()
    return sorted((bench.directory / "blocks").glob("*.block"))


def test_one_flipped_bit_in_a_block_costs_at_most_one_target(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(12), 60)
    bench.run(wide(12), 60, target="db")
    (block,) = blocks_of(bench)
    data, whole = block.read_bytes(), sent_by(bench.sent)
    lost = []
    for offset in range(0, len(data), 37):
        flipped = bytearray(data)
        flipped[offset] ^= 1 << (offset % 8)
        block.write_bytes(flipped)
        store = bench.open()
        found = contents(store)
        assert found.items() <= whole.items(), offset
        assert len(found) >= len(whole) / 2 - 12, offset
        assert (len(found) == len(whole)) or store.stats()["damaged_frames"] == 1
        lost.append(len(whole) - len(found))
        store.close()
    assert 0 < sorted(lost)[len(lost) // 2] <= 60  # as a rule it costs one series


def test_an_unreadable_block_is_set_aside_whole_and_the_others_are_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(12), 60, after=200)
    first, *others = blocks_of(bench)
    kept = bench.sent[-1:]
    assert others
    first.write_bytes(first.read_bytes()[:100])
    empty = first.with_name("0-empty.block")
    empty.write_bytes(b"")
    first.with_suffix(".tmp").write_bytes(b"left by a crash")
    store = bench.open()
    assert sent_by(kept).items() <= contents(store).items() < sent_by(bench.sent).items()
    assert store.stats()["damaged_frames"] == 2
    assert {path.name for path in (tmp_path / "damaged").iterdir()} == {first.name, empty.name}
    assert not first.with_suffix(".tmp").exists()


def test_damage_is_kept_up_to_a_size_and_counted_beyond(tmp_path: Path) -> None:
    bench = filled(tmp_path, 4096)
    (segment,) = (tmp_path / "log").glob("*.log")
    data = bytearray(segment.read_bytes())
    data[1000:1900] = bytes(900)
    segment.write_bytes(data)
    bench._sizes = type(bench._sizes)(damaged_bytes=10, ballast_bytes=16)
    assert bench.open().stats()["damaged_frames"] == 1
    assert list((tmp_path / "damaged").iterdir()) == []


def test_a_block_copied_in_by_hand_doubles_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(12), 60)
    (block,) = blocks_of(bench)
    shutil.copy(block, block.with_name(f"{block.stem}0.block"))
    assert contents(bench.open()) == sent_by(bench.sent)
    assert bench.store.stats()["damaged_frames"] == 1
