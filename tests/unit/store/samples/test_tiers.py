"""What is older than the samples is answered from aggregates, the same where buckets allow it, and it is said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.samples import NOON, SMALL, contents, layout, wide

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import STALE_NAN, Tick
from watchkeeper.promql import Engine
from watchkeeper.promql.result import RangeMatrix
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.rollup import AGGREGATES, counter, roll

START = NOON.replace(hour=0)
TIERS = {300_000: timedelta(days=90), 3_600_000: timedelta(days=730)}
SHAPE = layout("requests_total", "queue", "heat")
HOUR = 3_600_000
#: Seconds between ticks; seven seconds off every bucket's edge.
EVERY, OFF = 60, 7


def rows(days: float) -> list[tuple[int, list[float]]]:
    """(time, values): a counter that restarts every 5.3 hours, a gauge with gaps, and noise with NaN."""
    random, found, total = np.random.default_rng(3), [], 0.0
    for number in range(int(days * 86_400 / EVERY)):
        total = 0.0 if number % 318 == 0 else total + float(random.integers(0, 9))
        queue = STALE_NAN if number % 500 > 480 else float(random.poisson(5))
        heat = float("nan") if number % 77 == 0 else float(random.random())
        found.append((to_ms(START) + (number * EVERY + OFF) * 1000, [total, queue, heat]))
    return found


def filled(directory: Path, days: float, **options: object) -> tuple[EmbeddedStore, ManualClock]:
    clock = ManualClock(START)
    store = EmbeddedStore(directory, clock=clock, **options)  # type: ignore[arg-type]  # the test's own words
    for number, (at, values) in enumerate(rows(days)):
        clock.advance(EVERY)
        store.append(Tick(target="web", time_ms=at, layout=SHAPE, values=np.array(values)))
        if number % 60 == 59:
            store.maintain(clock.now())
    return store, clock


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddedStore, EmbeddedStore]:
    """(a store that keeps samples for a day and aggregates for long, one that keeps every sample)."""
    folder = tmp_path_factory.mktemp("tiers")
    short, clock = filled(folder / "short", 3, retention=timedelta(days=1), tiers=TIERS)
    whole, _ = filled(folder / "whole", 3, tiers={})
    assert short.stats()["oldest_ms"] > to_ms(clock.now()) - 27 * HOUR
    return short, whole


def ask(store: EmbeddedStore, expr: str, step_ms: int = HOUR, first: int = 2, hours: int = 70) -> RangeMatrix:
    start = to_ms(START)
    return Engine(store).range(expr, start + first * HOUR, start + hours * HOUR, step_ms)


@pytest.mark.parametrize("aggregate", ["min", "max", "sum", "count", "avg"])
@pytest.mark.parametrize("metric", ["requests_total", "queue", "heat"])
def test_aligned_ranges_are_answered_exactly(
    both: tuple[EmbeddedStore, EmbeddedStore], aggregate: str, metric: str
) -> None:
    expr = f"{aggregate}_over_time({metric}[2h])"
    aged, exact = (ask(store, expr) for store in both)
    assert np.array_equal(aged.present, exact.present)
    np.testing.assert_allclose(aged.values, exact.values, rtol=1e-12)
    assert any("1h aggregates of them" in info for info in aged.infos)
    assert exact.infos == []


@pytest.mark.parametrize(("step_ms", "width"), [(HOUR, "1h"), (10 * 60_000, "5m"), (60_000, "5m")])
def test_the_step_chooses_the_bucket(both: tuple[EmbeddedStore, EmbeddedStore], step_ms: int, width: str) -> None:
    aged, exact = (ask(store, "max_over_time(queue[2h])", step_ms) for store in both)
    assert any(f"{width} aggregates of them" in info for info in aged.infos)
    assert np.array_equal(aged.present, exact.present)
    slack = np.abs(aged.values - exact.values)  # a range that cuts a bucket takes it whole or not at all
    assert np.nanmean(slack) < 0.5


def test_increase_counts_through_restarts(both: tuple[EmbeddedStore, EmbeddedStore]) -> None:
    for expr in ("increase(requests_total[6h])", "rate(requests_total[6h])", "sum(rate(requests_total[30m]))"):
        aged, exact = (ask(store, expr, 10 * 60_000, first=8) for store in both)
        np.testing.assert_array_equal(aged.present, exact.present)
        off = np.abs(aged.values / exact.values - 1)
        assert np.nanmedian(off) < 0.05, expr
        assert np.nanmean(aged.values) == pytest.approx(np.nanmean(exact.values), rel=0.02)


def test_recent_steps_are_answered_from_samples_bit_for_bit(both: tuple[EmbeddedStore, EmbeddedStore]) -> None:
    for expr in ("rate(requests_total[5m])", "queue", "heat * 2", "deriv(queue[10m])"):
        aged, exact = (ask(store, expr, 60_000, hours=71) for store in both)
        recent = aged.times >= to_ms(START) + 60 * HOUR
        assert np.array_equal(aged.present[:, recent], exact.present[:, recent]), expr
        assert aged.values[:, recent].tobytes() == exact.values[:, recent].tobytes()
        assert aged.present[:, ~recent].any()
        only = ask(both[0], expr, 60_000, first=60)
        assert only.infos == []
        assert not any("aggregates" in remark for remark in only.infos)


def test_a_plain_selector_sees_the_last_sample_of_the_bucket(both: tuple[EmbeddedStore, EmbeddedStore]) -> None:
    aged, exact = (ask(store, "requests_total") for store in both)
    assert np.array_equal(aged.present, exact.present)
    assert np.array_equal(aged.values, exact.values)  # the hour's last sample is the newest at the full hour


def test_aggregates_survive_a_restart_and_are_in_a_backup(tmp_path: Path) -> None:
    store, clock = filled(tmp_path / "a", 2.2, retention=timedelta(hours=20), tiers=TIERS)
    before = ask(store, "max_over_time(queue[2h])", hours=40)
    store.backup(tmp_path / "b")
    store.close()
    for place in ("a", "b"):
        again = EmbeddedStore(tmp_path / place, clock=clock, retention=timedelta(hours=20), tiers=TIERS)
        after = ask(again, "max_over_time(queue[2h])", hours=40)
        assert after.values.tobytes() == before.values.tobytes()
        assert again.stats()["tier_bytes"] > 0
        assert again.maintain(clock.now())["days_rolled_up"] == 0
        again.close()


def test_blocks_dropped_for_size_are_rolled_up_first(tmp_path: Path) -> None:
    store, _ = filled(tmp_path, 1.5, retention_bytes=60_000, tiers=TIERS, sizes=SMALL)
    exact, _ = filled(tmp_path / "whole", 1.5, tiers={})
    assert store.stats()["oldest_ms"] > to_ms(START) + HOUR
    aged, truth = (ask(one, "sum_over_time(requests_total[2h])", hours=30) for one in (store, exact))
    dropped = aged.times < store.stats()["oldest_ms"]
    assert dropped.any()
    np.testing.assert_allclose(aged.values, truth.values)


def test_aggregates_grow_old_too_and_their_series_are_forgotten(tmp_path: Path) -> None:
    ages = {300_000: timedelta(days=2), 3_600_000: timedelta(days=4)}
    store, clock = filled(tmp_path, 1.1, retention=timedelta(hours=4), tiers=ages)
    clock.advance(2.5 * 86_400)
    store.maintain(clock.now())
    assert contents(store) == {}
    assert ask(store, "max_over_time(queue[2h])", 60_000, hours=24).present.any()  # the hours are still there
    assert not list((tmp_path / "tiers" / "5m").glob("*.block"))
    clock.advance(3 * 86_400)
    store.maintain(clock.now())
    assert not ask(store, "max_over_time(queue[2h])", hours=24).present.any()
    assert store.stats()["targets"] == 0
    assert store.stats()["tier_bytes"] == 0


def test_a_bucket_without_a_sample_has_no_aggregate() -> None:
    values = np.array([[1.0, 2.0, STALE_NAN, STALE_NAN], [np.nan, 4.0, 5.0, -1.0]])
    rolled = roll(np.array([0, 60_000, 300_000, 420_000]), values, 300_000)
    assert rolled.times.tolist() == [60_000, 420_000]
    found = {name: matrix.tolist() for name, matrix in zip(AGGREGATES, rolled.values, strict=True)}
    assert found["count"][1] == [2.0, 2.0]
    assert (found["min"][0][0], found["max"][0][0], found["sum"][0][0], found["last"][0][0]) == (1.0, 2.0, 3.0, 2.0)
    assert (found["min"][1], found["max"][1]) == ([4.0, -1.0], [4.0, 5.0])
    assert np.isnan(found["sum"][1][0])
    assert np.isnan(found["count"][0][1])


def test_resets_inside_a_bucket_are_shown() -> None:
    times = np.array([1000, 2000, 3000, 4000])
    last = np.array([[10.0, 3.0, 9.0, 20.0]])
    least = np.array([[1.0, 0.0, 4.0, 1.0]])
    greatest = np.array([[10.0, 15.0, 9.0, 20.0]])
    at, values = counter(times, least, greatest, last)
    assert at.tolist() == [1000, 1999, 2000, 3000, 3999, 4000]
    assert values[0].tolist() == [10.0, 15.0, 3.0, 9.0, 1.0, 20.0]


def test_wide_targets_are_rolled_up_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchkeeper.store.samples.tiers.CUT_VALUES", 1000)
    clock = ManualClock(START)
    store = EmbeddedStore(tmp_path, clock=clock, retention=timedelta(hours=4), tiers=TIERS)
    shape = wide(40)
    for number in range(100):
        at = to_ms(clock.advance(600))
        store.append(Tick(target="web", time_ms=at, layout=shape, values=np.arange(40.0) + number))
    clock.advance(86_400 * 2)
    store.maintain(clock.now())
    found = Engine(store).instant("last_over_time({job='test'}[1d])", to_ms(START) + 90 * 600_000)
    assert sorted(found.values.tolist()) == [float(place + 88) for place in range(40)]  # type: ignore[union-attr]  # a vector


def test_a_target_whose_day_held_nothing_but_ends_does_not_keep_the_others_from_being_rolled_up(tmp_path: Path) -> None:
    clock = ManualClock(NOON.replace(hour=23, minute=50))
    store = EmbeddedStore(tmp_path, clock=clock, tiers=TIERS)
    shapes = {"scores": layout("score"), "web": layout("queue")}
    rolled = 0
    for number in range(7 * 60):
        clock.advance(60)
        for target, shape in shapes.items():
            value = STALE_NAN if target == "scores" and number < 15 else 1.0
            store.append(Tick(target=target, time_ms=to_ms(clock.now()), layout=shape, values=np.array([value])))
        if number % 60 == 59:
            rolled += store.maintain(clock.now())["days_rolled_up"]
    assert rolled > 0
    store.close()
