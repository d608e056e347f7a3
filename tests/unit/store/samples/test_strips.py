"""What is asked for again is the same answer, and only what is new is read for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.samples import NOON, SMALL, Bench, Stored, bits_of, layout, mixture, sent_by, wide

from watchkeeper.clock import to_ms
from watchkeeper.model import STALE_NAN, Matcher, MatchOp, Matrix
from watchkeeper.model.series import FloatArray
from watchkeeper.store.samples import strips
from watchkeeper.store.samples.columns import Pick
from watchkeeper.store.samples.cores import Cores
from watchkeeper.store.samples.pieces import Dense, Sealed

ALL = [Matcher("job", MatchOp.EQUAL, "test")]


def cells(matrices: Sequence[Matrix]) -> Stored:
    found: Stored = {}
    for matrix in matrices:
        assert matrix.present.any(axis=1).all()
        assert np.isnan(matrix.values[~matrix.present]).all()
        for row, column in zip(*np.nonzero(matrix.present), strict=True):
            found[matrix.series[row], int(matrix.times[column])] = bits_of(float(matrix.values[row, column]))
    return found


def ms(bench: Bench, minutes: float) -> int:
    """A time so many minutes ago."""
    return to_ms(bench.clock.now() - timedelta(minutes=minutes))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every read of a piece."""
    found: list[int] = []
    for kind in (Dense, Sealed):
        original = kind.fill

        def fill(self: Dense, out: FloatArray, pick: Pick, low: int, original: object = original) -> object:
            found.append(out.shape[1])
            return original(self, out, pick, low)  # type: ignore[operator]  # as it is

        monkeypatch.setattr(kind, "fill", fill)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_any_questions_in_any_order_are_answered_as_if_asked_for_the_first_time(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    bench = Bench(tmp_path, block_span=timedelta(minutes=20), retention=timedelta(hours=2))
    shapes = [wide(9), wide(12), layout("m3", "m1", "m7"), wide(5, "n")]
    questions = [ALL, [Matcher("__name__", MatchOp.REGEX, "m[1-7]")]]
    for turn in range(240):
        shape = shapes[int(random.integers(0, 4))] if random.random() < 0.05 else shapes[turn // 60]
        bench.send(shape, mixture(random, len(shape), turn), after=float(random.integers(5, 40)))
        if turn % 7 == 0:
            bench.maintain()
        if turn == 120:
            bench.reopen()
        width, ago = float(random.integers(1, 60)), float(random.integers(0, 40)) * (random.random() < 0.3)
        start, end = ms(bench, ago + width), ms(bench, ago)
        for matchers in questions:
            found = cells(bench.store.select(matchers, start, end))
            names = {f"m{place}" for place in range(1, 8)}
            assert found == {
                key: bits
                for key, bits in sent_by(bench.sent).items()
                if start <= key[1] <= end and (matchers is ALL or dict(key[0])["__name__"] in names)
            }


def test_the_second_question_keeps_and_the_third_reads_only_what_is_new(tmp_path: Path, reads: list[int]) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(9), 40)
    for _ in range(2):
        bench.store.select(ALL, ms(bench, 8), ms(bench, 0))
    reads.clear()
    bench.run(wide(9), 3)
    answer = bench.store.select(ALL, ms(bench, 8), ms(bench, 0))
    assert sum(reads) == 3
    bench.store.select(ALL, ms(bench, 5), ms(bench, 1))
    assert sum(reads) == 3
    assert cells(answer) == {key: bits for key, bits in sent_by(bench.sent).items() if key[1] >= ms(bench, 8)}


def test_a_scan_of_one_span_after_the_other_keeps_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(9), 100)
    for minutes in range(25, 0, -5):
        bench.store.select(ALL, ms(bench, minutes), ms(bench, minutes - 5) - 1)
    assert bench.store._strips.nbytes == 0


def test_an_answer_stays_as_it_was_and_cannot_be_written_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(9), 20)
    start = ms(bench, 4)
    for _ in range(2):
        (before,) = bench.store.select(ALL, start, ms(bench, 0))
    copy = before.values.copy()
    bench.run(wide(9), 200)
    bench.store.select(ALL, start, ms(bench, 0))
    np.testing.assert_array_equal(before.values, copy)
    for array in (before.values, before.times, before.present):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_moving_window_does_not_grow_without_bound(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(300):
        bench.run(wide(9), 1)
        bench.store.select(ALL, ms(bench, 5), ms(bench, 0))
    assert bench.store._strips.nbytes - strips.OVERHEAD < 9 * 9 * 80


def test_what_nobody_asks_for_is_given_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(9), 20)
    for _ in range(2):
        bench.store.select(ALL, ms(bench, 4), ms(bench, 0))
    assert bench.store._strips.nbytes > 0
    bench.clock.advance(strips.IDLE_SECONDS + 1)
    bench.store.select([Matcher("job", MatchOp.EQUAL, "none")], ms(bench, 4), ms(bench, 0))
    assert bench.store._strips.nbytes == 0


def test_the_budget_holds_and_what_was_asked_longest_ago_goes_first(
    tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(9), 20)
    monkeypatch.setattr(bench.store._strips, "_budget", 4 * (strips.OVERHEAD + 36 * 9))
    questions = [[Matcher("__name__", MatchOp.EQUAL, f"m{place}")] for place in range(6)]
    for question in questions:
        for _ in range(2):
            bench.store.select(question, to_ms(NOON), ms(bench, 0))
    for question in reversed(questions):
        reads.clear()
        bench.store.select(question, to_ms(NOON), ms(bench, 0))
        assert bool(reads) == (question in questions[:2])


def test_a_question_whose_beginning_went_meanwhile_is_read_afresh(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(9), 60)
    start = ms(bench, 10)
    for _ in range(2):
        bench.store.select(ALL, start, ms(bench, 0))
    shelf, wanted = bench.store._strips, bench.store._catalogue.index.match(ALL)
    (target,) = bench.store._catalogue.owners(wanted)
    need = shelf.need(target, wanted, start, ms(bench, 0))
    assert need is not None
    assert need.strip is not None
    need.strip.asked_ms = ms(bench, 1)
    for _ in range(30):
        bench.run(wide(9), 1)
        bench.store.select(ALL, ms(bench, 1), ms(bench, 0))
    assert need.strip.low_ms > start
    (found,) = shelf.read([need])
    assert (found.times[0], found.times[-1]) == (start, need.end_ms)
    assert cells([found]) == {k: bits for k, bits in sent_by(bench.sent).items() if start <= k[1] <= need.end_ms}


def test_two_threads_give_the_answers_in_order_and_the_errors_too() -> None:
    cores, seen = Cores(2), set[int]()

    def work(item: int) -> int:
        seen.add(threading.get_ident())
        assert cores.map(abs, [-1, -2]) == [1, 2]  # whoever asks from within does it alone
        return item * item

    assert cores.map(work, range(7)) == [0, 1, 4, 9, 16, 25, 36]
    assert len(seen) == 2
    for broken in (0, 6):
        with pytest.raises(ZeroDivisionError):
            cores.map(lambda item, broken=broken: 1 / (item - broken), range(7))  # type: ignore[misc]  # bound early
    assert cores.map(work, range(3)) == [0, 1, 4]


def test_a_series_that_only_ended_in_the_range_is_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(wide(3), 5)
    for _ in range(20):
        bench.send(wide(3), [1.0, STALE_NAN, 2.0])
    for _ in range(3):
        (found,) = bench.store.select(ALL, ms(bench, 4), ms(bench, 0))
        assert [dict(series)["__name__"] for series in found.series] == ["m0", "m2"]


@pytest.mark.parametrize("value", [STALE_NAN, 5.0, np.nan])
def test_an_answer_says_at_a_glance_that_nothing_is_absent_and_only_then(tmp_path: Path, value: float) -> None:
    bench = Bench(tmp_path, block_span=timedelta(minutes=20))
    bench.run(wide(3), 90)
    bench.send(wide(3), [1.0, value, 2.0])
    bench.run(wide(3), 30)
    bench.maintain()
    for _ in range(3):
        (found,) = bench.store.select(ALL, to_ms(NOON), ms(bench, 0))
        assert found.whole == bool(found.present.all()) == (bits_of(value) != bits_of(STALE_NAN))
        assert found.present.shape == found.values.shape


@pytest.mark.parametrize("series", [511, 512])
def test_rows_of_any_width_are_answered_as_they_came(tmp_path: Path, series: int) -> None:
    bench = Bench(tmp_path, sizes=replace(SMALL, dense_bytes=1 << 20))
    bench.run(wide(series), 20)
    bench.run(wide(series + 512), 5)
    (found,) = bench.store.select(ALL, to_ms(NOON), ms(bench, 0))
    assert cells([found]) == sent_by(bench.sent)
