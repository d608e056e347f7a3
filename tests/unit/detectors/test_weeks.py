"""What days, weekends and holidays change is expected once it is known, by the default detector as well."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._fit_traffic import traffic
from detectors import daily
from detectors.base import State
from detectors.ensemble import Ensemble
from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import BoolArray, FloatArray, IntArray

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
#: 1970-01-05, a Monday, at 00:00 UTC; and 2026-08-03, another.
MONDAY, AUGUST = 4 * DAY_MS, 20_668 * DAY_MS
INTERVAL = 900_000


def moments(start: int, days: int) -> IntArray:
    return start + INTERVAL * np.arange(days * DAY_MS // INTERVAL, dtype=np.int64)


def matrix(times: IntArray, values: FloatArray) -> Matrix:
    rows = np.atleast_2d(values)
    series = tuple((("__name__", f"load{row}"),) for row in range(len(rows)))
    return Matrix(series=series, times=times, values=rows, present=np.ones(rows.shape, np.bool_))


def load(times: IntArray, free: BoolArray) -> FloatArray:
    """A working day between 60 and 140, a free one between 27 and 63, with a little noise."""
    day = 100.0 + 40.0 * np.sin(2.0 * np.pi * (times % DAY_MS) / DAY_MS)
    return np.where(free, 0.45, 1.0) * day + np.random.default_rng(7).normal(0.0, 0.5, len(times))


def weekend(times: IntArray) -> BoolArray:
    return np.isin((times // DAY_MS + 3) % 7, (5, 6))


def of_day(scores: Scores, times: IntArray, first: int) -> FloatArray:
    """The expected values of the first three hours and a half of a day: nothing of that day has been seen before."""
    return np.asarray(scores.expected[0, (times >= first) & (times < first + 7 * HOUR_MS // 2)])


def test_a_weekend_is_expected_from_the_third_one_on() -> None:
    times = moments(MONDAY, 7 * 6)
    values = load(times, weekend(times))
    scores = Ensemble().score(matrix(times, values))
    saturdays = [MONDAY + (7 * week + 5) * DAY_MS for week in range(6)]
    off = [float(np.abs(of_day(scores, times, at)[:4] - values[(times >= at) & (times < at + HOUR_MS)]).mean())
           for at in saturdays]  # fmt: skip
    assert off[0] > 40  # the first one is news
    assert off[5] < 0.4 * off[0]
    mondays = [at + 2 * DAY_MS for at in saturdays[:5]]
    back = [float(np.abs(of_day(scores, times, at)[:4] - values[(times >= at) & (times < at + HOUR_MS)]).mean())
            for at in mondays]  # fmt: skip
    assert back[4] < 0.5 * back[0]


def test_a_holiday_is_expected_like_a_sunday_where_its_country_is_known() -> None:
    times = moments(AUGUST, 7 * 9)  # to 4 October; the 1st, a Thursday, is a holiday in China, the 2nd too
    holiday = AUGUST + 59 * DAY_MS
    values = load(times, weekend(times))
    told = {country: of_day(Ensemble(country=country).score(matrix(times, values)), times, holiday)[:4]
            for country in ("", "CN")}  # fmt: skip
    assert told["CN"].mean() < told[""].mean() - 15


@pytest.mark.parametrize("interval", [60_000, INTERVAL, 5 * HOUR_MS])
def test_a_block_learns_the_week_as_its_columns_do_one_by_one(interval: int) -> None:
    times = MONDAY + interval * np.arange(17 * DAY_MS // interval, dtype=np.int64)
    values = np.stack([load(times, weekend(times)), load(times + HOUR_MS, weekend(times + DAY_MS))])
    rows = daily.start_rows(2) | {"seen": np.zeros(2, np.int32)}
    alone, together = State(dict(rows)), State({name: array.copy() for name, array in rows.items()})
    width = max(1, daily.reach_ms(interval) // interval // 3)
    for first in range(0, len(times), width):
        until = min(first + width, len(times))
        block = daily.when(times[None, first:until], interval)
        expected = daily.expected(together, block)
        daily.learn(together, values[:, first:until], block, interval, None)
        together.rows["seen"] = together.rows["seen"] + np.int32(until - first)
        for at in range(first, until):
            one = daily.when(times[None, at : at + 1], interval)
            np.testing.assert_allclose(daily.expected(alone, one)[:, 0], expected[:, at - first], rtol=1e-6)
            daily.learn(alone, values[:, at : at + 1], one, interval, None)
            alone.rows["seen"] = alone.rows["seen"] + np.int32(1)
    assert np.abs(together.rows["week_profile"]).max() > 10


def test_made_up_traffic_is_the_same_for_the_same_seed_and_never_below_nothing() -> None:
    once, again, other = traffic(9, seed=3), traffic(9, seed=3), traffic(9, seed=4)
    for one, same in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.values, same.values)
        np.testing.assert_array_equal(one.label, same.label)
    assert not np.array_equal(once[0].values[:100], other[0].values[:100])
    assert 0 < sum(bool(one.label.any()) for one in once) < 9
    assert all(one.values.min() >= 0 and not one.label[: one.warmup].any() for one in once)


def test_the_band_is_about_as_wide_as_the_noise_from_the_day_on_which_days_are_known() -> None:
    """Residuals of a view that there is not yet are those of the level, and not nothing, beside which all is rare."""
    step, days = 300_000, 8
    times = MONDAY + step * np.arange(days * 288, dtype=np.int64)
    noise = np.random.default_rng(3).normal(0.0, 3.0, (1, len(times)))
    scores = Ensemble().score(matrix(times, 100.0 + 20.0 * np.sin(2.0 * np.pi * times / DAY_MS) + noise))
    reach = (scores.upper - scores.expected)[0].reshape(days, 288)
    rare = float(np.quantile(np.abs(noise), 0.999))
    wide = np.median(reach, axis=1) / rare
    assert wide[2:4].max() < 3.5
    assert 0.8 < wide[7] < 1.6
