"""Check sees every damaged place, repair keeps what is whole and leaves nothing to find."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.samples import Bench, contents, layout, sent_by, wide

from watchkeeper.errors import StoreError
from watchkeeper.store.samples.checking import check
from watchkeeper.store.samples.repairing import repair
from watchkeeper.store.samples.snapshot import Snapshot


def stored(directory: Path) -> Bench:
    """A closed store with two blocks of two targets, and a log behind them."""
    bench = Bench(directory)
    bench.run(wide(12), 60)
    bench.run(layout("other", "words"), 60, target="db")
    bench.clock.advance(3 * 3600)
    assert bench.maintain()["blocks_cut"] >= 1
    bench.run(wide(12), 60)
    bench.store.close()
    return bench


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << (offset % 8)
    path.write_bytes(data)


def files_in(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_whole_store_has_no_findings_and_a_check_touches_nothing(tmp_path: Path) -> None:
    bench = stored(tmp_path)
    before = files_in(tmp_path)
    found = check(tmp_path)
    assert found.findings == []
    assert (found.blocks > 0, found.segments > 0) == (True, True)
    assert 60 <= found.ticks <= 180  # segments go as soon as the disk has them, and only those in blocks
    assert files_in(tmp_path) == before
    assert contents(Snapshot(tmp_path)) == sent_by(bench.sent)
    assert files_in(tmp_path) == before


def test_a_running_store_is_read_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(12), 30)
    assert check(tmp_path).findings == []
    assert contents(Snapshot(tmp_path)) == sent_by(bench.sent)
    bench.store.close()


def test_every_flipped_bit_of_a_block_is_seen_and_repaired(tmp_path: Path) -> None:
    bench = stored(tmp_path)
    block = min((tmp_path / "blocks").glob("*.block"))
    data, whole = block.read_bytes(), sent_by(bench.sent)
    for offset in range(8, len(data), 89):
        flip(block, offset)
        assert len(check(tmp_path).findings) >= 1, offset
        done = repair(tmp_path)
        assert (done.rewritten, done.after.findings) == (1, []), offset
        found = contents(bench.open())
        bench.store.close()
        assert found.items() <= whole.items()
        assert len(whole) - len(found) <= 12 * 60
        for path in (tmp_path / "blocks").glob("*.block"):
            if path.stem.split("-")[0] == block.stem.split("-")[0]:
                path.unlink()
        block.write_bytes(data)


def test_a_damaged_log_keeps_its_whole_frames(tmp_path: Path) -> None:
    bench = stored(tmp_path)
    segment = max(path for path in (tmp_path / "log").glob("*.log") if path.stat().st_size > 1000)
    flip(segment, segment.stat().st_size - 200)
    assert len(check(tmp_path).findings) == 1
    done = repair(tmp_path)
    assert (done.rewritten, done.set_aside, done.after.findings) == (1, 1, [])
    assert repair(tmp_path).rewritten == 0
    assert len(sent_by(bench.sent)) - len(contents(bench.open())) in range(1, 13)
    assert bench.store.stats()["damaged_frames"] == 0
    bench.store.close()


def test_exchanged_segments_cost_nothing_and_get_their_names_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(12), 120)
    bench.store.close()
    one, *_, other = sorted((tmp_path / "log").glob("*.log"))
    before = files_in(tmp_path / "log")
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    assert contents(bench.open()) == sent_by(bench.sent)
    assert bench.store.stats()["damaged_frames"] == 0
    bench.store.close()
    assert len(check(tmp_path).findings) == 2
    assert repair(tmp_path).after.findings == []
    assert files_in(tmp_path / "log").items() >= before.items()


def test_a_block_that_cannot_be_read_at_all_is_set_aside(tmp_path: Path) -> None:
    stored(tmp_path)
    block = min((tmp_path / "blocks").glob("*.block"))
    block.write_bytes(block.read_bytes()[:50])
    (tmp_path / "blocks" / "left.tmp").write_bytes(b"x")
    done = repair(tmp_path)
    assert (done.rewritten, done.set_aside, done.removed, done.after.findings) == (0, 1, 1, [])
    assert (tmp_path / "damaged" / block.name).exists()


def test_a_held_store_is_not_repaired_and_a_strange_folder_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "samples")
    with pytest.raises(StoreError, match="in use by process"):
        repair(tmp_path / "samples")
    bench.store.close()
    for ask in (check, Snapshot):
        with pytest.raises(StoreError, match="holds no samples"):
            ask(tmp_path)
