"""Which alarms are open after each sample, of which kind, since when and by how much."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.matrices import HOUR_MS, MINUTE_MS, MONDAY_MS, matrix

from detectors import align, episodes
from detectors.base import State
from detectors.episodes import HELD_MS, LEARNED, MOST_MS, SURE, Episode, Watched
from watchkeeper.model import Scores

EVERY = Watched()
HOUR = Watched(learning_ms=HOUR_MS)
CALM = np.random.default_rng(4).normal(100.0, 1.0, 120)


def judged(value: float, *, score: float, alarm: float, reach: float = 4.0) -> Scores:
    one = matrix([[value]])
    expected = np.array([[100.0]])
    return Scores(
        series=one.series,
        times=one.times,
        value=np.array([[score]]),
        expected=expected,
        lower=expected - reach,
        upper=expected + reach,
        detector="test",
        alarm=np.array([[alarm]]),
    )


def after(
    values: npt.NDArray[np.float64],
    alarms: dict[int, float],
    watched: Watched = EVERY,
    *,
    minutes: int = 1,
    reach: float = 4.0,
) -> tuple[State, list[list[Episode]]]:
    """The episodes after every sample; ``alarms``: sample -> samples for which the score stays up."""
    held = episodes.start(1)
    told, up = [], -1.0
    for at, value in enumerate(values.tolist()):
        up = max(up, at + alarms[at]) if at in alarms else up
        scores = judged(value, score=1.0 if at <= up else 0.0, alarm=float(at in alarms), reach=reach)
        told.append(episodes.step(held, np.array([value]), scores, MONDAY_MS + at * minutes * MINUTE_MS, watched))
    return held, told


def kinds(told: list[list[Episode]]) -> list[str]:
    return [one.finding.kind for column in told for one in column]


def test_nothing_is_open_while_all_is_calm() -> None:
    assert kinds(after(CALM, {})[1]) == []


def test_a_spike_is_told_for_five_minutes_with_its_size_and_its_time() -> None:
    values = CALM.copy()
    values[100] = 150.0
    told = after(values, {100: 0})[1]
    (first,) = told[100]
    assert (first.finding.kind, first.finding.since_ms) == ("spike", MONDAY_MS + 100 * MINUTE_MS)
    assert (first.finding.change, first.finding.baseline, first.finding.factor) == (50.0, 100.0, 12.5)
    assert [at for at, column in enumerate(told) if column] == list(range(100, 100 + HELD_MS // MINUTE_MS))


def test_a_level_that_stays_is_told_once_as_a_shift_and_not_for_ever() -> None:
    values = np.append(CALM, CALM + 30.0)
    told = after(values, {120: 1000})[1]
    open_at = [at for at, column in enumerate(told) if column]
    assert open_at == list(range(120, 120 + MOST_MS // MINUTE_MS))
    (later,) = told[open_at[-1]]
    assert later.finding.kind == "level_shift"
    assert later.finding.since_ms == MONDAY_MS + 120 * MINUTE_MS
    assert later.finding.change == pytest.approx(30.0, abs=1.0)


def test_a_step_stays_a_level_shift_while_the_series_wanders_on_its_new_level() -> None:
    wave = 100.0 + 2.0 * np.sin(np.arange(240) / 20.0)
    wave[150:] += 50.0
    told = after(wave, {150: 80})[1]
    *_, last = [one for column in told for one in column]
    assert (last.finding.kind, round(last.finding.change, -1)) == ("level_shift", 50.0)


def test_a_sensor_that_stops_moving_is_told_once_without_any_score() -> None:
    told = after(np.append(CALM, np.full(200, CALM[-1])), {})[1]
    assert set(kinds(told)) == {"flat_line"}
    open_at = [at for at, column in enumerate(told) if column]
    assert open_at == list(range(open_at[0], open_at[0] + MOST_MS // MINUTE_MS))
    assert told[open_at[0]][0].finding.since_ms == MONDAY_MS + 119 * MINUTE_MS


def test_a_series_that_was_always_constant_is_no_flat_line() -> None:
    assert kinds(after(np.full(300, 5.0), {})[1]) == []


def test_a_heartbeat_that_stays_away_is_missing_until_it_comes_again() -> None:
    values = np.concatenate([CALM, np.full(90, np.nan), CALM[:3]])
    told = after(values, {})[1]
    assert set(kinds(told)) == {"missing"}
    open_at = [at for at, column in enumerate(told) if column]
    assert open_at == list(range(open_at[0], 210))
    assert told[open_at[0]][0].finding.since_ms == MONDAY_MS + 120 * MINUTE_MS


def test_a_rate_that_rests_where_it_has_rested_before_is_idle_and_no_flat_line() -> None:
    busy = np.abs(CALM - 100.0)
    assert kinds(after(np.concatenate([busy, [0.0, 1.0], np.zeros(200)]), {})[1]) == []
    assert set(kinds(after(np.concatenate([busy, np.zeros(200)]), {})[1])) == {"flat_line"}, "never at rest before"


@pytest.mark.parametrize("moves", [np.arange(30) % 2, np.repeat(np.arange(30) % 2, [1, 29] * 15)])
def test_a_series_that_moved_seldom_or_in_fits_is_no_flat_line(moves: npt.NDArray[np.int64]) -> None:
    assert kinds(after(np.append(5.0 + moves, np.full(300, 7.0)), {})[1]) == []


def test_no_alarm_opens_before_a_series_was_seen_often_enough_and_long_enough() -> None:
    values = np.append(CALM, np.full(200, CALM[-1]))
    assert kinds(after(values[:LEARNED], {LEARNED - 2: 0})[1]) == []
    assert kinds(after(values[:60], {50: 0}, HOUR)[1]) == []
    told = after(values, {61: 0}, HOUR)[1]
    assert (kinds(told[:61]), kinds(told[61:62])) == ([], ["collective"])


def test_weak_evidence_opens_no_alarm_of_a_series_that_has_not_shown_a_whole_day() -> None:
    def opened_at(minute: int, score: float) -> bool:
        state, time_ms = episodes.start(1), MONDAY_MS
        for at, value in enumerate(CALM.tolist()):
            time_ms = MONDAY_MS + at * minute * MINUTE_MS
            last = at == len(CALM) - 1
            one = judged(value, score=score if last else 0.0, alarm=float(last))
            told = episodes.step(state, np.array([value]), one, time_ms)
        return bool(told)

    assert not opened_at(1, 0.4)
    assert opened_at(1, SURE)
    assert opened_at(15, 0.4), "seen for more than a day"


def hourly(shape: npt.NDArray[np.float64], days: int) -> npt.NDArray[np.float64]:
    """Samples of every 10 minutes: a day's shape of 24 hours over and over, with little noise."""
    noise = np.random.default_rng(6).normal(0.0, 0.5, days * 144)
    return np.tile(np.repeat(shape, 6), days) + noise


NIGHT_AND_DAY = np.repeat([60.0, 100.0, 60.0], [8, 8, 8])


def test_what_is_usual_at_noon_and_not_at_night_is_contextual() -> None:
    values = hourly(NIGHT_AND_DAY + 40.0, 3)
    values[-12] = 140.0
    (night,) = after(values, {len(values) - 12: 0}, minutes=10, reach=30.0)[1][-12]
    assert (night.finding.kind, night.finding.change) == ("contextual", 40.0)
    values[-12] = 400.0
    (never,) = after(values, {len(values) - 12: 0}, minutes=10, reach=30.0)[1][-12]
    assert never.finding.kind == "spike"


@pytest.mark.parametrize("a_day", [20.0, -20.0])
def test_what_grows_a_little_every_hour_of_two_days_is_a_slow_leak_told_once_and_without_a_score(a_day: float) -> None:
    growing = a_day * np.arange(4 * 144) / 144
    told = after(hourly(NIGHT_AND_DAY, 4) + growing, {}, minutes=10)[1]
    first = next(column[0].finding for column in told if column)
    assert set(kinds(told)) == {"slow_leak"}
    assert first.change == pytest.approx(a_day, rel=0.2)
    assert first.factor == pytest.approx(abs(first.change) / first.baseline)
    assert len({one.finding.since_ms for column in told for one in column}) == 1
    rates = Watched(rates=np.array([True]))
    assert kinds(after(hourly(NIGHT_AND_DAY, 4) + growing, {}, rates, minutes=10)[1]) == []


def test_neither_a_day_nor_a_weekend_nor_a_step_is_a_leak() -> None:
    week = np.concatenate([hourly(NIGHT_AND_DAY, 2), hourly(np.full(24, 60.0), 2), hourly(NIGHT_AND_DAY, 2)])
    assert kinds(after(week, {}, minutes=10)[1]) == []
    step = hourly(NIGHT_AND_DAY, 4) + 30.0 * (np.arange(4 * 144) > 200)
    assert kinds(after(step, {}, minutes=10)[1]) == []


def test_a_series_that_comes_now_and_then_is_not_missing() -> None:
    values = np.full(600, np.nan)
    values[::10] = 1.0 + np.arange(60) % 2
    assert kinds(after(values, {})[1]) == []


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (CALM[-1] + 2.0 * np.arange(1, 30), "trend"),
        (100.0 + 12.0 * np.random.default_rng(5).normal(0.0, 1.0, 20).clip(-1.0, 1.0), "variance"),
        (CALM[:5], "collective"),
    ],
)
def test_a_trend_a_change_of_spread_and_an_odd_course_have_names(ending: npt.NDArray[np.float64], kind: str) -> None:
    values = np.append(CALM, ending)
    (last,) = after(values, {len(values) - 1: 0})[1][-1]
    assert last.finding.kind == kind


def test_an_open_episode_stays_open_when_the_layout_changes() -> None:
    values = np.append(CALM, 150.0)
    state, _ = after(values, {120: 0})
    old, new = matrix([[1.0]]).series, ((("__name__", "new"),), *matrix([[1.0]]).series)
    moved = align(state, old, new)
    assert moved.rows["opened"].tolist() == [0, MONDAY_MS + 120 * MINUTE_MS]
    assert np.isnan(moved.rows["recent"][0]).all()
