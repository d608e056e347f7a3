"""Sealing, cutting, evicting, forgetting: samples move, nothing changes."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.samples import EVER, NOON, SMALL, Bench, FaultyDisk, contents, layout, sent_by, tick, wide

from watchkeeper.errors import StoreFullError
from watchkeeper.store.samples import catalogue

HOUR = 3600.0


def total(bench: Bench, ticks: int, *, every: int = 4, after: float = 15.0) -> Counter[str]:
    """Run ticks with upkeep in between; the sum of what upkeep did."""
    done: Counter[str] = Counter()
    for turn in range(ticks):
        bench.run(wide(9), 1, after=after)
        if turn % every == 0:
            done.update(bench.maintain())
    return done


def test_rows_pass_through_head_and_blocks_unchanged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    done = total(bench, 900, after=30)
    assert done["blocks_cut"] == 3
    assert done["segments_dropped"] > 0
    assert done["sealed"] > 10
    assert done["head_evicted"] > 10
    assert done["failures"] == 0
    assert bench.store.stats()["blocks"] == 3
    bench.check()
    bench.reopen()
    bench.check()
    bench.run(wide(9), 3)
    bench.check()


def test_any_range_reads_alike_from_head_and_blocks(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    total(bench, 300, after=60)
    everything = sent_by(bench.sent)
    random = np.random.default_rng(5)
    first, last = bench.sent[0].time_ms, bench.sent[-1].time_ms
    for _ in range(60):
        start, end = sorted(random.integers(first - 100_000, last + 100_000, 2).tolist())
        expected = {key for key in everything if start <= key[1] <= end}
        found = set()
        for matrix in bench.store.select([], start, end):
            rows, columns = np.nonzero(matrix.present)
            found |= {(matrix.series[row], int(matrix.times[at])) for row, at in zip(rows, columns, strict=True)}
        assert found == expected


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "wide", "other", "maintain", "reopen"]), st.integers(1, 30)),
        min_size=1,
        max_size=25,
    )
)
def test_any_order_of_events_keeps_every_sample(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int]]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("store"), block_span=timedelta(minutes=10))
    for event, count in events:
        if event == "maintain":
            bench.clock.advance(count * 20)
            bench.maintain()
        elif event == "reopen":
            bench.reopen()
        else:
            bench.run(wide(6 if event == "send" else 11), count % 9 + 1, after=count, target=event)
    bench.check()
    bench.store.close()


@pytest.mark.parametrize(("room", "minutes"), [(1 << 20, 30), (50 * 8 * 100, 12), (0, 2)])
def test_the_last_half_hour_stays_dense_while_there_is_room(tmp_path: Path, room: int, minutes: int) -> None:
    bench = Bench(tmp_path, sizes=replace(SMALL, dense_bytes=room, dense_most=timedelta(minutes=30)))
    shape = wide(100)
    for turn in range(200):
        bench.store.append(tick(bench.clock.advance(15), shape, [float(turn * 3 + place) for place in range(100)]))
    bench.maintain()
    rows = minutes * 4
    packed = bench.store.stats()["head_bytes"] - rows * 800
    assert 0 < packed < 0.5 * (200 - rows) * 800


def test_memory_of_an_idle_engine_stays_low(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sizes=replace(SMALL, chunk_rows=120, dense_span=timedelta(minutes=10)))
    shape = wide(100)
    for turn in range(1440):
        bench.store.append(tick(bench.clock.advance(5), shape, [float(turn * 3 + place) for place in range(100)]))
        if turn % 12 == 0:
            bench.maintain()
    figures = bench.store.stats()
    assert figures["head_bytes"] < 0.35 * 8 * figures["samples_in_head"]


def test_a_crowded_head_is_cut_early_by_the_sender_itself(tmp_path: Path) -> None:
    sizes = replace(SMALL, burst_bytes=9 * 8 * 50, head_bytes=9 * 8 * 30)
    bench = Bench(tmp_path, sizes=sizes, block_span=timedelta(minutes=30))
    bench.clock.advance(timedelta(hours=10))
    at = NOON
    for turn in range(400):  # a backfill: old times, no upkeep from outside
        at += timedelta(seconds=60)
        one = tick(at, wide(9), [float(turn)] * 9)
        bench.store.append(one)
        bench.sent.append(one)
    figures = bench.store.stats()
    assert figures["blocks"] > 5
    assert figures["samples_in_head"] < 9 * 120
    bench.check()
    bench.reopen()
    bench.check()


def test_a_long_log_is_cut_early(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sizes=replace(SMALL, log_bytes=5_000))
    bench.run(wide(40), 60)
    first = bench.maintain()
    assert first["blocks_cut"] == 1
    bench.run(wide(40), 1)
    bench.store.sync()
    # what was on disk by then went with the first round, the rest with the second
    assert first["segments_dropped"] + bench.maintain()["segments_dropped"] > 1
    assert bench.store.stats()["log_bytes"] < 5_000
    bench.check()


def test_a_target_that_fell_silent_leaves_the_head(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(3), 5, target="gone")
    bench.clock.advance(3 * HOUR)
    bench.run(wide(3), 1, target="alive")
    bench.maintain()
    assert bench.store.stats()["samples_in_head"] == 3
    bench.check()


def test_a_late_target_keeps_its_samples(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.clock.advance(5 * HOUR)
    bench.run(wide(3), 1)
    bench.maintain()
    for minutes in range(3):
        one = tick(NOON + timedelta(minutes=minutes), wide(3), [1.0, 2.0, 3.0], target="late")
        assert bench.store.append(one).stored == 3
        bench.sent.append(one)
        bench.maintain()
    bench.reopen()
    bench.check()


def test_retention_by_age_unlinks_whole_blocks(tmp_path: Path) -> None:
    bench = Bench(tmp_path, retention=timedelta(hours=4))
    total(bench, 200, after=180)
    assert bench.store.stats()["oldest_ms"] >= bench.sent[-1].time_ms - 6.2 * HOUR * 1000
    assert len(list((tmp_path / "blocks").iterdir())) == bench.store.stats()["blocks"] <= 3
    first = min(at for _, at in contents(bench.store))
    bench.sent = [one for one in bench.sent if one.time_ms >= first]
    bench.check()
    bench.reopen()
    bench.check()


def test_retention_by_size_unlinks_the_oldest_blocks(tmp_path: Path) -> None:
    bench = Bench(tmp_path, retention_bytes=30_000)
    total(bench, 900, after=120)
    bench.maintain()
    figures = bench.store.stats()
    assert figures["bytes"] <= 30_000
    assert figures["blocks"] >= 1
    first = min(at for _, at in contents(bench.store))
    assert first > bench.sent[0].time_ms
    bench.sent = [one for one in bench.sent if one.time_ms >= first]
    bench.check()


def test_series_of_dropped_blocks_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FORGET_FROM", 10)
    bench = Bench(tmp_path, retention=timedelta(hours=4))
    for generation in range(8):
        for _ in range(20):
            bench.run(wide(30, f"pod{generation}_"), 1, after=180)
            bench.run(layout("stays", "shared"), 1, after=1, target="db")
            bench.run(layout("shared", "own"), 1, after=1, target="cache")
            bench.maintain()
    assert bench.store.stats()["series"] < 30 * 8
    first = min(at for _, at in contents(bench.store))
    bench.sent = [one for one in bench.sent if one.time_ms >= first]
    bench.check()
    bench.run(wide(30, "pod0_"), 2)
    bench.check()
    assert len(bench.store.select([], *EVER)) == 3


def test_a_target_is_forgotten_with_its_last_block(tmp_path: Path) -> None:
    bench = Bench(tmp_path, retention=timedelta(hours=4))
    bench.run(wide(3), 5, target="gone")
    bench.clock.advance(3 * HOUR)
    bench.maintain()
    bench.clock.advance(10 * HOUR)
    bench.maintain()
    assert bench.store.stats()["targets"] == 0
    assert bench.store.select([], *EVER) == []
    assert bench.store.series([], *EVER) == []


def test_a_block_that_finds_no_room_is_tried_again(tmp_path: Path) -> None:
    disk = FaultyDisk()
    bench = Bench(tmp_path, disk=disk)
    bench.run(wide(9), 50)
    bench.clock.advance(3 * HOUR)
    disk.room = 100
    assert bench.maintain()["failures"] == 1
    assert list((tmp_path / "blocks").iterdir()) == []
    bench.check()
    with pytest.raises(StoreFullError):
        bench.run(wide(9), 1)
    disk.room = None
    assert bench.maintain()["blocks_cut"] == 1
    bench.run(wide(9), 1)
    bench.check()
    figures = bench.store.stats()
    assert (figures["block_failures"], figures["disk_full_times"], figures["disk_full"]) == (1, 1, 0)


def test_reads_see_whole_ticks_while_rows_move(tmp_path: Path) -> None:
    bench = Bench(tmp_path, block_span=timedelta(minutes=10))
    wrong: list[str] = []
    reads = 0
    stop = threading.Event()

    def read() -> None:
        nonlocal reads
        last = 0
        while not stop.is_set():
            for matrix in bench.store.select([], *EVER):
                if not (matrix.values == matrix.values[0]).all() or matrix.times.size < last:
                    wrong.append(f"{matrix.times.size} after {last}")
                last = matrix.times.size
                reads += 1

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(600):
        bench.store.append(tick(bench.clock.advance(15), wide(9), [float(turn)] * 9))
        if turn % 8 == 0:
            bench.maintain()
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert reads > 3
