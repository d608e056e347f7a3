"""A disk that fills up, refuses fsync or belongs to somebody else."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.samples import NOON, SMALL, Bench, FaultyDisk, assert_balanced, layout, tick, wide

from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.store.samples import EmbeddedStore


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def bench(tmp_path: Path, disk: FaultyDisk) -> Bench:
    return Bench(tmp_path, disk=disk)


@pytest.mark.parametrize("truncates", [True, False])
def test_a_full_disk_acknowledges_nothing_and_loses_nothing(bench: Bench, disk: FaultyDisk, truncates: bool) -> None:
    bench.run(wide(9), 10)
    disk.room, disk.failing_truncates = 30, not truncates
    before = bench.store.stats()
    for _ in range(3):
        with pytest.raises(StoreFullError, match="no space left"):
            bench.run(wide(9), 1)
    assert bench.store.stats()["received"] == before["received"]
    assert not (bench.directory / "ballast").exists()
    assert bench.store.stats()["disk_full"] == 1
    bench.check()
    disk.room, disk.failing_truncates = None, False
    bench.run(wide(9), 10)
    assert (bench.directory / "ballast").stat().st_size == SMALL.ballast_bytes
    bench.check()
    bench.reopen()
    bench.check()


def test_what_the_ballast_freed_is_not_for_samples(bench: Bench, disk: FaultyDisk) -> None:
    disk.room = 0
    with pytest.raises(StoreFullError):
        bench.run(wide(9), 1)
    disk.room = SMALL.ballast_bytes + 500
    with pytest.raises(StoreFullError):
        bench.run(wide(9), 1)
    assert bench.maintain()["sealed"] == 0
    assert not (bench.directory / "ballast").exists()


def test_a_store_opens_on_a_full_disk(tmp_path: Path, disk: FaultyDisk) -> None:
    disk.room = 0
    bench = Bench(tmp_path, disk=disk)
    assert bench.store.stats()["disk_full"] == 1
    with pytest.raises(StoreFullError):
        bench.run(wide(9), 1)
    disk.room = None
    bench.run(wide(9), 1)
    bench.check()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 1 MiB; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(os.urandom(4096)):
            pass


def test_a_real_disk_fills_up_and_is_freed_again_and_again(small_disk: Path) -> None:
    bench = Bench(small_disk / "store", sizes=replace(SMALL, ballast_bytes=65_536, sync_seconds=5.0))
    for _ in range(5):
        filler = small_disk / "filler"
        fill(filler)
        with pytest.raises(StoreFullError):
            bench.run(wide(200), 200)
        bench.store.sync()
        bench.check()
        bench.maintain()
        (small_disk / "state").write_bytes(os.urandom(40_000))  # the ballast's room
        (small_disk / "state").unlink()
        filler.unlink()
        bench.run(wide(200), 1)
        bench.check()
    bench.reopen()
    bench.check()
    bench.store.close()


def test_a_failed_fsync_abandons_the_segment_and_keeps_the_samples(bench: Bench, disk: FaultyDisk) -> None:
    bench.run(wide(9), 3)
    assert bench.store.sync() == 3
    proven = set((bench.directory / "log").glob("*.log"))
    disk.failing_syncs = 1
    bench.run(wide(9), 4)
    assert bench.store.sync() == 7
    assert bench.store.durable_sequence == 7
    assert bench.store.stats()["fsync_failures"] == 1
    fresh = set((bench.directory / "log").glob("*.log")) - proven
    assert len(fresh) == 1
    for path in proven:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])  # what the failed fsync left behind may be anything
    assert len(proven) == 1
    bench.store.close()
    bench.open()
    kept = {one.time_ms for one in bench.sent[3:]}
    (matrix,) = bench.store.select([], min(kept), max(kept))
    assert set(matrix.times.tolist()) == kept


def test_a_disk_that_keeps_refusing_is_told_to_whoever_waits(bench: Bench, disk: FaultyDisk) -> None:
    disk.failing_syncs = 1_000_000
    bench.run(wide(9), 3)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be made durable"):
            bench.store.sync()
    assert bench.store.durable_sequence == 0
    assert bench.store.stats()["fsync_failures"] >= 2
    bench.check()  # visible all the same
    disk.failing_syncs = 0
    bench.run(wide(9), 1)
    bench.store.close()
    bench.open()
    bench.check()


def test_closing_on_a_refusing_disk_says_so_and_lets_go(bench: Bench, disk: FaultyDisk) -> None:
    disk.failing_syncs = 1_000_000
    bench.run(wide(9), 1)
    with pytest.raises(StoreError, match="could not be made durable"):
        bench.store.close()
    disk.failing_syncs = 0
    bench.open().close()


def test_frames_off_the_disk_are_bounded(tmp_path: Path, disk: FaultyDisk) -> None:
    bench = Bench(tmp_path, disk=disk, sizes=replace(SMALL, pending_bytes=600))
    bench.run(wide(9), 40)
    disk.failing_syncs = 1_000_000
    with pytest.raises(StoreError, match="refuses fsync"):
        bench.run(wide(9), 40)
    disk.failing_syncs = 0
    bench.check()


def test_appends_become_durable_by_themselves(bench: Bench, disk: FaultyDisk) -> None:
    bench.run(wide(9), 3)
    log = bench.store._log
    with log._changed:
        assert log._changed.wait_for(lambda: log.durable_sequence == 3, timeout=10)


def test_one_fsync_serves_many(bench: Bench, disk: FaultyDisk) -> None:
    before = disk.syncs
    bench.run(wide(9), 1)
    bench.store.sync()
    assert 1 <= disk.syncs - before <= 2
    again = disk.syncs
    bench.store.sync()
    assert disk.syncs == again


def test_a_second_store_in_the_same_directory_is_refused(bench: Bench) -> None:
    with pytest.raises(StoreError, match=rf"in use by process {os.getpid()}: stop it"):
        EmbeddedStore(bench.directory, clock=bench.clock)
    bench.run(wide(3), 1)
    bench.reopen()
    bench.check()


def test_a_backup_opens_as_a_store(bench: Bench, tmp_path: Path) -> None:
    bench.run(wide(9), 200, after=60)
    bench.maintain()
    bench.run(wide(9), 20)
    copied = bench.store.backup(tmp_path / "copies" / "one")
    assert copied > 0
    copy = Bench(tmp_path / "copies" / "one")
    copy.sent = list(bench.sent)
    copy.check()
    bench.run(wide(9), 5)
    bench.check()
    with pytest.raises(StoreError, match="exists already"):
        bench.store.backup(tmp_path / "copies" / "one")
    assert_balanced(copy.store.stats())


def test_a_backup_that_fails_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(StoreError, match=r"backup to .* failed"):
        bench.store.backup(tmp_path / "file" / "copy")


def test_an_ignored_tick_needs_no_disk(bench: Bench, disk: FaultyDisk) -> None:
    bench.store.append(tick(NOON, layout("a"), [1.0]))
    disk.room = 0
    assert bench.store.append(tick(NOON, layout("a"), [1.0])).deduplicated == 1
