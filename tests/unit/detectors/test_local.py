"""Days and weeks are those of the clocks where a series lives, through daylight saving and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors import BUILTIN, align, state_from_arrays, state_to_arrays
from detectors.ensemble import Ensemble
from detectors.local import Place, Places
from detectors.seasonal import Seasonal
from watchkeeper.clock import to_ms
from watchkeeper.holidays import is_holiday, is_made_up
from watchkeeper.model import Matrix, labels
from watchkeeper.model.series import FloatArray, IntArray

BERLIN = ZoneInfo("Europe/Berlin")
#: Clocks in Berlin are put forward on 29 March 2026 and back on 25 October 2026, both a Sunday.
FORWARD, BACK = datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)
HALF_HOUR = timedelta(minutes=30)


def grid(start: datetime, days: float, step: timedelta = HALF_HOUR) -> IntArray:
    first, count = to_ms(start.astimezone(UTC)), round(timedelta(days=days) / step)
    return first + np.arange(count, dtype=np.int64) * round(step.total_seconds() * 1000)


def load(times: IntArray, zone: ZoneInfo = BERLIN, seed: int = 1) -> FloatArray:
    """A service that is busiest at two in the afternoon on its own clocks."""
    local = [datetime.fromtimestamp(at / 1000, UTC).astimezone(zone) for at in times.tolist()]
    hours = np.array([one.hour + one.minute / 60 for one in local])
    busy = 100.0 * np.cos((hours - 14.0) * np.pi / 12.0)
    return np.asarray(200.0 + busy + np.random.default_rng(seed).normal(size=len(times)))


def matrix(times: IntArray, *rows: FloatArray, **zones: str) -> Matrix:
    names = list(zones.values()) or [""] * len(rows)
    series = tuple(labels("load", place=place, row=str(at)) for at, place in enumerate(names))
    return Matrix(series=series, times=times, values=np.stack(rows), present=np.ones((len(rows), len(times)), np.bool_))


def off_by(expected: FloatArray, values: FloatArray, last: int) -> float:
    """How far from what was expected the newest samples are on average."""
    return float(np.abs(expected[-last:] - values[-last:]).mean())


@pytest.mark.parametrize("change", [FORWARD, BACK])
@pytest.mark.parametrize("kind", ["seasonal", "ensemble"])
def test_the_day_after_the_clocks_were_changed_is_expected_on_the_clocks_and_not_an_hour_off(
    kind: str, change: datetime
) -> None:
    times = grid(change - timedelta(days=16), 18)
    values = load(times)
    step = round(timedelta(days=1) / HALF_HOUR)
    on_clocks = BUILTIN[kind](zone="Europe/Berlin").score(matrix(times, values)).expected[0]
    in_utc = BUILTIN[kind]().score(matrix(times, values)).expected[0]
    assert off_by(on_clocks, values, step) < 0.7 * off_by(in_utc, values, step)


@pytest.mark.parametrize("change", [FORWARD, BACK])
@pytest.mark.parametrize("kind", ["seasonal", "ensemble"])
def test_a_block_over_the_change_is_scored_as_its_columns_one_by_one_and_knows_no_future(
    kind: str, change: datetime
) -> None:
    times = grid(change - timedelta(days=4), 6)
    whole = matrix(times, load(times))
    detector = BUILTIN[kind](zone="Europe/Berlin")
    scored = detector.score(whole)
    state = detector.fit(matrix(times[:1], whole.values[0, :1]))
    one_by_one = []
    for at in range(1, len(times)):
        state, found = detector.update(state, matrix(times[at : at + 1], whole.values[0, at : at + 1]))
        one_by_one.append(found.expected[0, 0])
    np.testing.assert_allclose(one_by_one, scored.expected[0, 1:], rtol=1e-5, atol=1e-4)
    short = detector.score(matrix(times[:200], whole.values[0, :200]))
    np.testing.assert_array_equal(short.value[0], scored.value[0, :200])


@pytest.mark.parametrize("kind", ["seasonal", "ensemble"])
def test_series_of_one_call_may_live_in_different_zones(kind: str) -> None:
    times = grid(datetime(2026, 5, 4, tzinfo=UTC), 6)
    berlin, tokyo = load(times, BERLIN), load(times, ZoneInfo("Asia/Tokyo"), seed=2)
    detector = BUILTIN[kind](zone="Europe/Berlin", zones={"place=tokyo": "Asia/Tokyo"})
    both = detector.score(matrix(times, berlin, tokyo, a="berlin", b="tokyo")).expected
    for row, (values, zone) in enumerate(((berlin, "Europe/Berlin"), (tokyo, "Asia/Tokyo"))):
        alone = BUILTIN[kind](zone=zone).score(matrix(times, values)).expected[0]
        np.testing.assert_allclose(both[row], alone, rtol=1e-4, atol=1e-3)


def test_a_holiday_is_compared_with_sundays_and_a_worked_weekend_with_working_days() -> None:
    """Golden Week 2026: 1 to 7 October off, Saturday the 10th worked; the 20th of September, a Sunday, too."""
    shanghai = ZoneInfo("Asia/Shanghai")
    times = grid(datetime(2026, 8, 31, tzinfo=shanghai), 42, timedelta(hours=1))
    local = [datetime.fromtimestamp(at / 1000, UTC).astimezone(shanghai) for at in times.tolist()]
    works = [(one.weekday() < 5 and not is_holiday(one.date(), "CN")) or is_made_up(one.date(), "CN") for one in local]
    values = np.where(works, 100.0, 10.0) + np.random.default_rng(1).normal(size=len(times))
    days = np.array([one.date() for one in local])

    def off(detector: Seasonal, day: date) -> float:
        found = detector.score(matrix(times, values)).expected[0]
        first = np.flatnonzero(days == day)[:2]  # before today's own offset is known
        return float(np.abs(found[first] - values[first]).max())

    with_holidays, without = Seasonal(zone="Asia/Shanghai", country="CN"), Seasonal(zone="Asia/Shanghai")
    for day in (date(2026, 10, 1), date(2026, 10, 10)):
        assert off(with_holidays, day) < 25 < off(without, day)


@pytest.mark.parametrize(
    ("country", "day", "holiday", "made_up"),
    [
        ("CN", date(2026, 2, 17), True, False),
        ("CN", date(2026, 2, 14), False, True),
        ("CN", date(2025, 1, 26), False, True),  # a year that the library knows
        ("CN", date(2025, 10, 1), True, False),
        ("DE", date(2026, 12, 25), True, False),
        ("DE-BE", date(2026, 3, 8), True, False),  # Berlin alone keeps Women's Day
        ("DE", date(2026, 3, 8), False, False),
        ("", date(2026, 12, 25), False, False),
    ],
)
def test_holidays_and_make_up_workdays_are_those_of_the_country(
    country: str, day: date, *, holiday: bool, made_up: bool
) -> None:
    assert (is_holiday(day, country), is_made_up(day, country)) == (holiday, made_up)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"zone": "Mars/Base"}, "no time zone|not a time zone"), ({"country": "ZZ"}, "no known holidays"),
     ({"zones": {"region": "UTC"}}, "is no label")],
)  # fmt: skip
def test_what_is_no_zone_country_or_label_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Seasonal(**options)  # type: ignore[arg-type]


def test_without_a_zone_nothing_is_moved() -> None:
    times = grid(FORWARD, 3)
    assert Place().walls(times) is times
    assert Places().one


@pytest.mark.parametrize("kind", ["seasonal", "ensemble"])
def test_a_series_costs_at_most_336_seasonal_parts_of_float32_and_4_kilobytes(kind: str) -> None:
    state = BUILTIN[kind](zone="Europe/Berlin").start(100)
    parts = {name: array for name, array in state.rows.items() if "profile" in name}
    assert all(array.dtype == np.float32 for array in parts.values())
    assert sum(array.shape[1] for array in parts.values()) <= 336
    assert sum(array.nbytes for array in state.rows.values()) / 100 <= 4096


def test_a_place_is_kept_when_state_is_saved_and_the_layout_changes() -> None:
    times = grid(FORWARD - timedelta(days=3), 4)
    detector, whole = Ensemble(zone="Europe/Berlin"), matrix(times, load(times))
    head, tail = matrix(times[:150], whole.values[0, :150]), matrix(times[150:], whole.values[0, 150:])
    state = state_from_arrays(state_to_arrays(detector.fit(head)))
    _, found = detector.update(align(state, head.series, tail.series), tail)
    np.testing.assert_allclose(found.value, detector.score(whole).value[:, 150:], rtol=1e-5, atol=1e-6)
