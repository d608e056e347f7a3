"""Pushed samples: any series at any time, nothing lost, nothing doubled, every refusal counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.samples import EVER, NOON, Bench, assert_balanced, assert_line_balanced, bits_of, contents, layout

from watchkeeper.clock import to_ms
from watchkeeper.model import STALE_NAN, Labels, labels
from watchkeeper.ports import Appended
from watchkeeper.store.samples import Limits
from watchkeeper.store.samples.checking import check
from watchkeeper.store.samples.snapshot import Snapshot

AT = to_ms(NOON)
ONE, TWO, THREE = (labels("m", row=str(row)) for row in range(3))
#: (series, milliseconds after noon, value)
Sample = tuple[Labels, int, float]


def push(bench: Bench, *samples: Sample) -> Appended:
    series = list(dict.fromkeys(one for one, _, _ in samples))
    codes = np.array([series.index(one) for one, _, _ in samples], dtype=np.int64)
    times = np.array([AT + after for _, after, _ in samples], dtype=np.int64)
    line = bench.store.push(series, codes, times, np.array([value for _, _, value in samples]))
    assert_line_balanced(line)
    assert_balanced(bench.store.stats())
    return line


def kept(bench: Bench) -> dict[tuple[Labels, int], int]:
    return {(series, at - AT): bits for (series, at), bits in contents(bench.store).items()}


def expected(*samples: Sample) -> dict[tuple[Labels, int], int]:
    return {(series, after): bits_of(value) for series, after, value in samples}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "samples")


def test_what_is_pushed_is_there_at_once_and_after_every_restart(bench: Bench) -> None:
    samples: Sequence[Sample] = [(ONE, 0, 1.5), (TWO, 0, -0.0), (THREE, 7, float("nan"))]
    assert push(bench, *samples).stored == 3
    for _ in range(3):
        assert kept(bench) == expected(*samples)
        assert bench.store.series([], *EVER) == [ONE, TWO, THREE]
        assert bench.store.label_values("row", [], *EVER) == ["0", "1", "2"]
        bench.reopen()


def test_the_same_again_is_deduplicated_and_another_value_is_refused(bench: Bench) -> None:
    push(bench, (ONE, 0, 1.0), (TWO, 0, 2.0))
    again = push(bench, (ONE, 0, 1.0), (TWO, 0, 3.0), (ONE, 1, 1.0), (ONE, 1, 1.0), (ONE, 1, 2.0))
    assert (again.stored, again.deduplicated, again.rejected) == (1, 2, {"duplicate_timestamp": 2})
    assert kept(bench) == expected((ONE, 0, 1.0), (TWO, 0, 2.0), (ONE, 1, 1.0))


@pytest.mark.parametrize("rest", ["waiting", "grouped", "reopened"])
def test_late_samples_within_ten_minutes_are_kept_and_later_ones_refused(bench: Bench, rest: str) -> None:
    push(bench, (ONE, 0, 1.0), (TWO, 0, 1.0))
    if rest == "grouped":
        bench.clock.advance(60)
        bench.maintain()
    if rest == "reopened":
        bench.reopen()
    line = push(bench, (ONE, -600_000, 2.0), (ONE, -600_001, 3.0), (ONE, -5, 4.0), (TWO, 0, 1.0))
    assert (line.stored, line.deduplicated, line.rejected) == (2, 1, {"too_old": 1})
    assert kept(bench) == expected((ONE, 0, 1.0), (TWO, 0, 1.0), (ONE, -600_000, 2.0), (ONE, -5, 4.0))


def test_a_sender_that_was_away_for_an_hour_is_not_late(bench: Bench) -> None:
    push(bench, (ONE, 0, 1.0))
    assert push(bench, (TWO, -3_600_000, 1.0), (TWO, -3_500_000, 2.0)).stored == 2


def test_the_future_and_what_retention_would_drop_are_refused(bench: Bench) -> None:
    line = push(bench, (ONE, 600_001, 1.0), (ONE, 600_000, 1.0), (TWO, -16 * 86_400_000, 1.0))
    assert (line.stored, line.rejected) == (1, {"future": 1, "too_old": 1})


def test_limits_hold_for_new_series_and_leave_old_ones_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "samples", limits=Limits(series=2, labels=3))
    push(bench, (ONE, 0, 1.0))
    line = push(bench, (labels("m", a="1", b="2", c="3"), 1, 1.0), (TWO, 1, 1.0), (THREE, 1, 1.0), (ONE, 1, 2.0))
    assert (line.stored, line.rejected) == (2, {"label_limit": 1, "series_limit": 1})
    assert kept(bench) == expected((ONE, 0, 1.0), (ONE, 1, 2.0), (TWO, 1, 1.0))


def test_silence_is_no_end_but_a_staleness_marker_is(bench: Bench) -> None:
    push(bench, (ONE, 0, 1.0), (TWO, 0, 1.0), (THREE, 0, 1.0))
    push(bench, (ONE, 15_000, 2.0), (THREE, 15_000, STALE_NAN))
    for _ in range(2):
        found = {series: matrix for matrix in bench.store.select([], *EVER) for series in matrix.series}
        assert found[ONE].times.tolist() == found[THREE].times.tolist() == [AT, AT + 15_000]
        assert found[TWO].times.tolist() == [AT]
        assert found[THREE].present[found[THREE].series.index(THREE)].tolist() == [True, False]
        bench.clock.advance(60)
        bench.maintain()


def test_what_was_pushed_is_handed_on_once_as_ticks_when_its_moment_is_together(bench: Bench) -> None:
    push(bench, (ONE, -15_000, 0.0))
    bench.clock.advance(11)
    bench.maintain()
    assert bench.store.fresh() == []  # what was before the first call is nobody's concern
    push(bench, (ONE, 0, 1.0), (TWO, 0, 2.0))
    push(bench, (THREE, 0, 3.0))
    assert bench.store.fresh() == []
    bench.clock.advance(11)
    first = bench.store.fresh()
    assert {one: value for tick in first for one, value in zip(tick.layout.series, tick.values, strict=True)} == {
        ONE: 1.0,
        TWO: 2.0,
        THREE: 3.0,
    }
    assert {tick.time_ms for tick in first} == {AT}
    push(bench, (TWO, 15_000, 4.0), (THREE, 15_000, STALE_NAN), (TWO, -5, 9.0))
    bench.clock.advance(11)
    (second,) = bench.store.fresh()
    (same,) = (tick for tick in first if tick.target == second.target and TWO in tick.layout.series)
    assert second.layout is same.layout
    told = dict(zip(second.layout.series, second.values.tolist(), strict=True))
    assert (second.time_ms, told[TWO], bits_of(told[THREE])) == (AT + 15_000, 4.0, bits_of(STALE_NAN))
    assert bench.store.fresh() == []


class Model:
    """What a store must hold after random pushes, and the pushes: several targets, churn, gaps, late and repeated."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.random, self.held = bench, np.random.default_rng(seed), dict[tuple[Labels, int], int]()
        self.step = 0

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.step += 1
            self.bench.clock.advance(15)
            batch = [sample for target in range(4) for sample in self._target(target)]
            for start in range(0, len(batch), 13):
                self._send(batch[start : start + 13])

    def _target(self, target: int) -> list[Sample]:
        if target == 3 and self.step % 20 > 12:
            return []  # away for a while
        at = self.step * 15_000 + 137 * target
        found: list[Sample] = []
        for row in range(6):
            if self.random.random() < 0.05:
                continue
            series = labels("m", target=str(target), row=str(row if row else f"churn{self.step // 9}"))
            moment = at + (int(self.random.integers(0, 900)) if target == 2 and row > 3 else 0)
            late = int(self.random.integers(0, 590)) * 1000 if self.random.random() < 0.05 else 0
            value = STALE_NAN if self.random.random() < 0.02 else float(self.random.integers(0, 5)) * self.step
            found.append((series, moment - late, value))
        return found

    def _send(self, batch: list[Sample]) -> None:
        if not batch:
            return
        push(self.bench, *batch)
        for series, at, value in batch:
            self.held.setdefault((series, at), bits_of(value))
        if self.random.random() < 0.1:
            assert not push(self.bench, *batch).stored

    def check(self) -> None:
        ended = bits_of(STALE_NAN)
        assert kept(self.bench) == {key: bits for key, bits in self.held.items() if bits != ended}


@pytest.mark.parametrize("seed", range(2))
def test_random_pushes_survive_sealing_blocks_and_restarts(tmp_path: Path, seed: int) -> None:
    bench = Bench(tmp_path / "samples", block_span=timedelta(minutes=10))
    model = Model(bench, seed)
    for turn in range(12):
        model.run(11)
        bench.maintain()
        if turn % 3 == 0:
            bench.reopen()
        if turn % 4 == 1:
            model.check()
            assert Snapshot(bench.directory).series([], *EVER) == bench.store.series([], *EVER)
    model.check()
    assert bench.store.stats()["blocks"] > 2
    assert not check(bench.directory).findings


def test_the_log_goes_once_its_samples_are_in_blocks(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "samples", block_span=timedelta(minutes=10))
    model = Model(bench, 5)
    model.run(40)
    bench.maintain()
    before = bench.store.stats()["log_bytes"]
    bench.clock.advance(3600)
    for _ in range(2):
        bench.maintain()
    assert bench.store.stats()["log_bytes"] < before / 4
    model.check()
    bench.reopen()
    model.check()


def test_pushed_and_scraped_series_live_side_by_side(bench: Bench) -> None:
    bench.send(layout("scraped"), [1.0])
    push(bench, (ONE, 15_000, 1.0))
    found = contents(bench.store)
    assert {series for series, _ in found} == {ONE, labels("scraped", job="test")}


def test_ids_of_forgotten_series_are_refused_and_asked_for_anew(bench: Bench) -> None:
    generation, sids, _ = bench.store.number([ONE])
    times, values = np.array([AT]), np.array([1.0])
    assert bench.store.push_numbered(object(), sids, times, values) is None  # type: ignore[arg-type]
    line = bench.store.push_numbered(generation, sids, times, values, {"histogram": 2})
    assert line is not None
    assert (line.received, line.stored, line.rejected) == (3, 1, {"histogram": 2})
    assert_balanced({**bench.store.stats(), "rejected_histogram": 2})


def test_a_thousand_small_pushes_wait_as_a_few_parts(bench: Bench) -> None:
    samples = [(ONE if after % 3 else TWO, after, float(after)) for after in range(1000)]
    for sample in samples:
        push(bench, sample)
        bench.clock.advance(0.01)
    assert len(bench.store._pushed._buffer) < 100
    assert kept(bench) == expected(*samples)
    bench.clock.advance(60)
    bench.maintain()
    assert kept(bench) == expected(*samples)
