"""The default: several cheap views of every series, weighed by small networks and trees, with an alarm of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import alarm, base, channels, daily, fusion, moving, predictor, residuals, wide
from .local import Places
from .one_thread import keep_memory, one_thread

#: Cells [series x time] of one block: small enough for the processor's cache.
CELLS = 1 << 15
#: Samples that are taken for a day where time stamps are not real.
CLOCKLESS_DAY = 288.0
#: Orders of rarity from which a residual larger than all before needs no network: some thirty times its usual size.
PLAIN_ORDERS = 6.0
#: Interval taken for the first sample, before there is a second.
FIRST_INTERVAL_MS = 60_000


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Ensemble:
    """Scores from 0 to 1 how much each sample ought to be looked at, and says when to page.

    Looks at the last change, two levels, the time of day and of the week, a linear predictor of the series' own shape
    and the energy it leaves over, each against its own past. Good for: gauges and rates nobody described, also of odd
    shape. Not for: raw counters (take the rate first).
    """

    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit
    season: bool = True  #: compare with the time of day; off where time stamps are not real
    zone: str = "UTC"  #: time zone of the series, whose days are compared
    zones: Mapping[str, str] = field(default_factory=dict)  #: label=value -> zone, of series that live elsewhere
    country: str = ""  #: whose holidays and make-up workdays count, like CN, DE or US-CA; empty: none
    min_history: Annotated[int, Field(ge=2)] = 20  #: known samples before there is a score

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", Places.of(self.zone, self.country, self.zones))

    @property
    def places(self) -> Places:
        found: Places = self._places  # type: ignore[attr-defined]  # set once, in __post_init__
        return found

    def start(self, count: int) -> base.State:
        rows = channels.start_rows(count) | fusion.start_rows(count) | alarm.start_rows(count)
        shared = {"ticks": np.zeros(1, np.int64), "clock": np.array([0, FIRST_INTERVAL_MS], np.int64)}
        return base.State(rows, shared)

    def fit(self, matrix: Matrix) -> base.State:
        return self._walk(self.start(len(matrix.series)), matrix)[0]

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        base.same_layout(state, column)
        return self._walk(state, column)

    def score(self, matrix: Matrix) -> Scores:
        return self._walk(self.start(len(matrix.series)), matrix)[1]

    def _walk(self, state: base.State, matrix: Matrix) -> tuple[base.State, Scores]:
        seen, times = base.observed(matrix), matrix.times
        parts, walls = np.full((5, *seen.shape), np.nan), self._walls(matrix)
        jumps, at = self._jumps(matrix), 0
        while at < seen.shape[1] and len(seen):
            until = at + self._columns(state, seen[:, at:], times[at:])
            later = jumps[jumps > at]
            until = min(until, int(later[0])) if len(later) else until
            block, shown = np.asfortranarray(seen[:, at:until]), walls[:, at:until]
            parts[:, :, at:until] = self.block(state, block, shown, times=times[at:until])
            at = until
        value, alarms, expected, lower, upper = parts
        return state, Scores(
            series=matrix.series,
            times=times,
            value=value,
            expected=expected,
            lower=lower,
            upper=upper,
            detector="ensemble",
            alarm=alarms,
        )

    def _walls(self, matrix: Matrix) -> IntArray:
        """What the clocks of the series show, in milliseconds: [series, time], or [1, time] where it is the same."""
        if self.places.one:
            return self.places.place.walls(matrix.times)[None]
        found = [(rows, place.walls(matrix.times)) for rows, place in self.places.groups(matrix.series)]
        if len(found) == 1:
            return found[0][1][None]
        shown = np.empty((len(matrix.series), len(matrix.times)), np.int64)
        for rows, walls in found:
            shown[rows] = walls
        return shown

    def _jumps(self, matrix: Matrix) -> IntArray:
        """Columns that begin a block of their own: a clock was put forward, or back and shows its hours again."""
        found = [place.jumps(matrix.times) for place in self.places.all]
        return np.unique(np.concatenate(found))

    def _columns(self, state: base.State, seen: FloatArray, times: IntArray) -> int:
        """Columns of the next block: those of ``longest``, until a sample is missing."""
        complete = np.asarray(~np.isnan(seen[:, : predictor.REFIT]).any(axis=0))
        if not complete[0]:
            return 1
        gaps = np.flatnonzero(~complete)
        most = min(self.longest(state), int(gaps[0]) if len(gaps) else len(complete))
        reach = daily.reach_ms(int(state.shared["clock"][1]))
        return max(1, min(most, int(np.searchsorted(times, times[0] + reach)))) if self.season else most

    def longest(self, state: base.State) -> int:
        """Columns that one set of weights is good for, and the cache holds."""
        ticks = int(state.shared["ticks"][0])
        return 1 if ticks < 2 else min(predictor.horizon(state, ticks), max(1, CELLS // max(state.count, 1)))

    def look(self, state: base.State, seen: FloatArray, times: IntArray) -> channels.View:
        """What the channels see of a block by the clock that was read first; the state moves on."""
        clock = self._clock(state, times[0], steady=True)
        found = self._looked(state, seen, self._moment(state, seen, times, clock), clock)
        _move_on(state, times[0], clock)
        return found

    def block(
        self,
        state: base.State,
        seen: FloatArray,
        walls: IntArray,
        *,
        times: IntArray | None = None,
        steady: bool = False,
        band: bool = True,
    ) -> FloatArray:
        """(value, alarm, expected, lower, upper) of a block; only a block of one column may lack samples.

        ``walls``: what clocks show, [series, time] or [1, time] for all, in milliseconds; ``times``: the moments, where
        they are something else. Without ``band`` the first two alone.
        """
        one_thread()
        keep_memory()
        moments = walls[0] if times is None else times
        clock = self._clock(state, moments, steady=steady)
        moment = self._moment(state, seen, walls, clock)
        answer = np.empty((5 if band else 2, *seen.shape))
        for rows, part in wide.parts(state):
            for into, one in zip(
                answer, self._judged(part, seen[rows], moment.rows(rows), clock, band=band), strict=True
            ):
                into[rows] = one
        _move_on(state, moments, clock)
        return answer

    def _moment(self, state: base.State, seen: FloatArray, times: IntArray, clock: residuals.Clock) -> channels.Moment:
        known = ~np.isnan(seen[:, 0])
        return channels.Moment(
            when=daily.when(times, clock.interval_ms) if self.season else None,
            ticks=int(state.shared["ticks"][0]),
            known=None if known.all() else known,
            turns=predictor.in_turns(state),
        )

    def _looked(
        self, state: base.State, seen: FloatArray, moment: channels.Moment, clock: residuals.Clock
    ) -> channels.View:
        filled = np.nan_to_num(seen) if moment.known is not None else seen
        return channels.look(state, filled, clock, moment, fusion.MEMORIES)

    def _judged(
        self, state: base.State, seen: FloatArray, moment: channels.Moment, clock: residuals.Clock, *, band: bool
    ) -> list[FloatArray]:
        before = moving.Seen(state.rows["seen"], seen.shape[1])
        view = self._looked(state, seen, moment, clock)
        fused = fusion.fuse(state, view.inputs, before, moment.known, clock.day)
        enough = before.count >= self.min_history
        enough = enough if moment.known is None else enough & moment.known[:, None]
        budget = alarm.Budget(self.false_alarms_a_day, self._samples_a_day(clock))
        begins, value = fused.begins, fusion.unit(fused.score)
        lasts: base.Array | None = fused.lately
        if clock.slow:
            rarest = channels.rarest(view.found)
            begins, value, lasts = rarest - base.HALF_RARITY + alarm.LIMIT, base.rarity_score(rarest), None
        else:
            _say_what_is_plain(view, begins, value)
        less = alarm.doubt(state, view.left.timed, budget) - (0.0 if self.season else alarm.CLOCKLESS)
        opened = alarm.judge(state, alarm.Evidence(begins, lasts, less), enough, before.count, budget)
        answers = [value if view.still is None else np.where(view.still, 0.0, value), opened]
        if band:
            expected, reach = channels.band(view)
            answers += [expected, expected - reach, expected + reach]
        return answers if enough.all() else [np.where(enough, one, np.nan) for one in answers]

    def _clock(self, state: base.State, times: IntArray, *, steady: bool) -> residuals.Clock:
        """The interval is read from the second sample, and unless steady again whenever the predictor is solved."""
        ticks, (last, interval) = int(state.shared["ticks"][0]), state.shared["clock"].tolist()
        passed = int(times[0]) - last
        if ticks and passed > 0 and (ticks == 1 or (not steady and ticks % predictor.REFIT == 0)):
            interval = passed
        return residuals.Clock(interval, self.season)

    def _samples_a_day(self, clock: residuals.Clock) -> float:
        return daily.DAY_MS / clock.interval_ms if self.season else CLOCKLESS_DAY


def _say_what_is_plain(view: channels.View, begins: FloatArray, value: FloatArray) -> None:
    """Raise both where a sample is far beyond all that was seen: whatever the networks say, it is worth a look."""
    places = np.nonzero(channels.may_be_as_rare(view.found, PLAIN_ORDERS))
    if not len(places[0]):
        return
    rarest = channels.rarest(view.found, places)
    plain = rarest >= PLAIN_ORDERS
    places, rarest = tuple(one[plain] for one in places), rarest[plain]
    value[places] = np.maximum(value[places], base.rarity_score(rarest))
    begins[places] = np.maximum(begins[places], rarest - PLAIN_ORDERS + alarm.LIMIT)


def _move_on(state: base.State, times: IntArray, clock: residuals.Clock) -> None:
    state.shared["ticks"] = state.shared["ticks"] + len(times)
    state.shared["clock"] = np.array([times[-1], clock.interval_ms], np.int64)
