"""What is kept, what is refused, and that the ledger always balances."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.samples import NOON, Bench, contents, layout, sent_by, tick, wide

from watchkeeper.errors import StoreError
from watchkeeper.model import STALE_NAN, Layout, labels
from watchkeeper.store.samples import Limits


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_tick_is_visible_on_return(bench: Bench) -> None:
    line = bench.send(layout("up", "load"), [1.0, 0.25])
    assert (line.received, line.stored, line.sequence) == (2, 2, 1)
    bench.check()


def test_a_stale_sample_is_absent_and_an_ordinary_nan_is_present(bench: Bench) -> None:
    bench.send(layout("a", "b"), [1.0, 1.0])
    bench.send(layout("a", "b"), [STALE_NAN, float("nan")])
    (matrix,) = bench.store.select([], 0, 1 << 60)
    assert matrix.present.tolist() == [[True, False], [True, True]]
    assert np.isnan(matrix.values[:, 1]).all()


def test_a_series_without_samples_in_the_range_is_left_out_but_its_end_stays_visible(bench: Bench) -> None:
    bench.send(layout("a", "b"), [1.0, 2.0])
    bench.send(layout("b"), [3.0])
    (matrix,) = bench.store.select([], 0, 1 << 60)
    assert matrix.present.tolist() == [[True, False], [True, True]]
    (later,) = bench.store.select([], bench.sent[1].time_ms, 1 << 60)
    assert later.series == layout("b").series


def test_the_same_tick_again_is_deduplicated(bench: Bench) -> None:
    shape = layout("a", "b")
    first, second = tick(NOON, shape, [1, 2]), tick(NOON + timedelta(seconds=15), shape, [3, 4])
    bench.clock.advance(60)
    for one in (first, second):
        bench.store.append(one)
    for one in (second, first):  # the newest, and an older one that is still in the head
        line = bench.store.append(one)
        assert (line.stored, line.deduplicated) == (0, 2)
    assert contents(bench.store) == sent_by([first, second])


def test_an_older_tick_is_out_of_order(bench: Bench) -> None:
    bench.send(layout("a"), [1.0], after=60)
    line = bench.store.append(tick(NOON + timedelta(seconds=30), layout("a"), [2.0]))
    assert line.rejected == {"out_of_order": 1}
    bench.check()


def test_ticks_from_the_future_and_beyond_retention_are_refused(bench: Bench) -> None:
    future = bench.store.append(tick(NOON + timedelta(minutes=10, seconds=1), layout("a", "b"), [1.0, 2.0]))
    old = bench.store.append(tick(NOON - timedelta(days=15, seconds=1), layout("a"), [1.0]))
    assert (future.rejected, old.rejected) == ({"future": 2}, {"too_old": 1})
    assert bench.store.append(tick(NOON + timedelta(minutes=10), layout("a"), [1.0])).stored == 1
    figures = bench.store.stats()
    assert (figures["rejected_future"], figures["rejected_too_old"], figures["rejected"]) == (2, 1, 3)


def test_a_vector_of_another_length_is_a_mistake_of_the_caller(bench: Bench) -> None:
    with pytest.raises(StoreError, match="web: 1 values for 2 series"):
        bench.store.append(tick(NOON, layout("a", "b"), [1.0]))


def test_exactly_the_limit_is_let_in_and_old_series_are_untouched(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=Limits(series=10, target_series=8))
    bench.send(wide(5), [1.0] * 5)
    line = bench.send(wide(12), [2.0] * 12)
    assert (line.stored, line.rejected) == (8, {"series_limit": 4})
    line = bench.send(wide(5, "other"), [3.0] * 5, target="db")
    assert (line.stored, line.rejected) == (2, {"series_limit": 3})
    assert bench.send(wide(5), [4.0] * 5).stored == 5
    assert bench.store.stats()["series"] == 10
    assert len(contents(bench.store)) == 5 + 8 + 2 + 5


def test_series_that_are_too_wide_are_refused_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=Limits(labels=3, label_bytes=8))
    shape = Layout(
        (
            labels("ok", a="1", b="2"),
            labels("no", a="1", b="2", c="3"),
            labels("no", a="123456789"),
            labels("no", a="中文字"),
            labels("no", long_name="1"),
        )
    )
    line = bench.send(shape, [1.0] * 5)
    assert (line.stored, line.rejected) == (1, {"label_limit": 4})


def test_a_series_named_twice_in_one_layout_is_kept_once(bench: Bench) -> None:
    line = bench.send(layout("a", "a", "b"), [1.0, 2.0, 3.0])
    assert (line.stored, line.rejected) == (2, {"duplicate_series": 1})
    assert sorted(contents(bench.store).values()) == sorted(sent_by([tick(NOON, layout("a", "b"), [1, 3])]).values())


def test_layouts_may_change_and_alternate(bench: Bench) -> None:
    shapes = [wide(9), wide(17), layout("m3", "other", "m1")]
    for turn in range(60):
        bench.run(shapes[turn % 3], 1)
        bench.maintain()
    bench.check()
    bench.reopen()
    bench.check()


def test_two_targets_may_tell_of_the_same_series(bench: Bench) -> None:
    bench.send(layout("a", "b"), [1.0, 2.0], target="one")
    bench.send(layout("b", "c"), [3.0, 4.0], target="two")
    found = {(matrix.series, tuple(matrix.values[:, 0])) for matrix in bench.store.select([], 0, 1 << 60)}
    assert found == {(layout("a", "b").series, (1.0, 2.0)), (layout("b", "c").series, (3.0, 4.0))}


def test_an_empty_layout_is_a_tick_without_samples(bench: Bench) -> None:
    assert bench.send(Layout(()), []).received == 0
    assert bench.store.select([], 0, 1 << 60) == []
    bench.reopen()
    bench.check()


def test_a_closed_store_takes_nothing(bench: Bench) -> None:
    bench.store.close()
    bench.store.close()
    with pytest.raises(StoreError, match="closed"):
        bench.store.append(tick(NOON, layout("a"), [1.0]))


def test_a_target_with_an_endless_name_is_refused(bench: Bench) -> None:
    with pytest.raises(StoreError, match="longer than 65535 bytes"):
        bench.store.append(tick(NOON, layout("a"), [1.0], target="x" * 70_000))
    bench.send(layout("a"), [1.0], target="名\ud800")
    bench.reopen()
    bench.check()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot use .*file/store for samples: Not a directory"):
        Bench(tmp_path / "file" / "store")


def test_an_empty_store_has_no_times_and_a_filled_one_has(bench: Bench) -> None:
    assert "oldest_ms" not in bench.store.stats()
    bench.run(layout("a"), 5)
    figures = bench.store.stats()
    assert (figures["oldest_ms"], figures["newest_ms"]) == (bench.sent[0].time_ms, bench.sent[-1].time_ms)
    assert figures["samples_in_head"] == 5
