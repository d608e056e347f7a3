"""Accuracy computed by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from analytics.predictions import Made, accuracy, naive_path, naive_scale, season_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAN = float("nan")


def made(day: int, expected: float, *, wide: float = 10.0, naive: float = 100.0, scale: float = 8.0) -> Made:
    quantiles = {
        "0.025": expected - 2 * wide, "0.1": expected - wide, "0.5": expected, "0.9": expected + wide,
        "0.975": expected + 2 * wide,
    }  # fmt: skip
    target = NOON + timedelta(days=day)
    return Made(made_at=NOON, target=target, step=day, quantiles=quantiles, naive=naive, scale=scale)


def test_four_forecasts_scored_by_hand() -> None:
    rows = [made(1, 100), made(2, 100), made(3, 100), made(4, 100), made(5, 100)]
    actuals = {NOON + timedelta(days=day): value for day, value in ((1, 104.0), (2, 80.0), (3, 125.0), (4, 100.0))}
    found = accuracy(rows, actuals)
    assert found.scored == 4
    assert found.coverage80 == 0.5  # 104 and 100 lie within 90..110
    assert found.coverage95 == 0.75  # and 80 within 80..120
    assert math.isclose(found.mape, (4 / 104 + 20 / 80 + 25 / 125 + 0) / 4)
    assert math.isclose(found.mase, (4 + 20 + 25 + 0) / 4 / 8)
    assert found.against_naive == 1.0  # the naive forecast said 100 as well
    assert math.isclose(found.bias, (-4 + 20 - 25 + 0) / 409)


def test_a_better_forecast_than_the_naive_one() -> None:
    found = accuracy([made(1, 110, naive=90)], {NOON + timedelta(days=1): 105.0})
    assert math.isclose(found.against_naive, 5 / 15)


def test_nothing_due_yet_is_unknown_not_perfect() -> None:
    found = accuracy([made(1, 100)], {NOON + timedelta(days=1): NAN})
    assert found.scored == 0
    assert math.isnan(found.coverage80)
    assert math.isnan(found.mape)


def test_a_zero_actual_counts_in_every_figure_but_the_percentage() -> None:
    found = accuracy([made(1, 2), made(2, 8)], {NOON + timedelta(days=1): 0.0, NOON + timedelta(days=2): 10.0})
    assert found.scored == 2
    assert found.mape == 0.2
    assert found.mase == (2 + 2) / 2 / 8


def test_figures_without_a_naive_forecast_are_unknown() -> None:
    found = accuracy([made(1, 100, naive=NAN, scale=NAN)], {NOON + timedelta(days=1): 104.0})
    assert math.isnan(found.mase)
    assert math.isnan(found.against_naive)


def test_the_naive_forecast_repeats_the_last_season() -> None:
    week = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert naive_path([9.0, *week], 9, 7) == [*week, 1.0, 2.0]
    assert naive_path([3.0, 4.0], 3, 7) == [4.0, 4.0, 4.0]
    assert all(math.isnan(value) for value in naive_path([], 2, 7))


def test_its_scale_is_the_usual_change_from_season_to_season() -> None:
    assert naive_scale([1, 2, 3, 5, 2, 6], 3) == (4 + 0 + 3) / 3
    assert naive_scale([1.0, 3.0], 7) == 2.0  # no whole season: from one period to the next
    assert naive_scale([1.0, NAN, 3.0, 5.0], 1) == 2.0
    assert math.isnan(naive_scale([1.0], 7))


def test_people_repeat_themselves_by_week_and_by_year() -> None:
    assert [season_of(period) for period in ("hour", "day", "week", "month")] == [168, 7, 52, 12]
