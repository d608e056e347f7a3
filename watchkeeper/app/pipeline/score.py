"""Score: every tick goes through the detector, and what it says is a series like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

from detectors import Finding, State, episodes
from detectors import align as align_episodes
from watchkeeper.app.pipeline.groups import Grouping
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.pipeline.scored import Memories, Memory
from watchkeeper.app.pipeline.taught import Taught
from watchkeeper.clock import from_ms
from watchkeeper.model import METRIC_NAME, STALE_NAN, Labels, Layout, Matrix, Scores, Tick, is_stale, metric_name
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.ports import Detector
from watchkeeper.telemetry import Telemetry

SCORE = "watchkeeper_anomaly_score"
#: Of each alarm that is open: 1, since when (seconds since the epoch), how far from what it is compared with, when it
#: was raised, what it is compared with, and how many times too far.
ALARM = (
    "watchkeeper_anomaly_alarm", "watchkeeper_anomaly_since_seconds", "watchkeeper_anomaly_change",
    "watchkeeper_anomaly_raised_seconds", "watchkeeper_anomaly_baseline", "watchkeeper_anomaly_factor",
)  # fmt: skip
#: 1 for an alarm that people called expected at this hour of the week: it is no alarm.
EXPECTED = "watchkeeper_anomaly_expected"
BAND = ("watchkeeper_expected", "watchkeeper_expected_lower", "watchkeeper_expected_upper")

#: Budget of a group where the detector has none of its own.
FALSE_ALARMS_A_DAY = 0.15
#: Counters are scored by their rate; their names end so (OpenMetrics).
COUNTER = re.compile(r".*_(total|count|sum)$")
#: Never scored: buckets are one distribution, info and timestamps say nothing by their level.
NEVER = re.compile(
    r".*_(bucket|info|created)$|.*_timestamp_seconds$|(.*_)?(start|boot|modified|mtime|expiry)_time_seconds$"
    r"|node_time_seconds$|scrape_.*|up$|ALERTS.*"
)


@dataclass(slots=True, eq=False)
class Lane:
    """One target's columns on their way through the detector."""

    layout: Layout
    columns: IntArray  #: which columns of the tick are scored
    series: tuple[Labels, ...]
    counters: BoolArray
    out: Layout  #: series of the score tick: one score each, then the bands
    banded: IntArray  #: which scored series also get their band
    state: Any = None
    episodes: Any = None
    alarms: Published = field(default_factory=lambda: Published(""))
    told: Tick | None = None  #: alarms of the last tick; None where there were none
    learning: int = 0  #: series that have samples, too few or for too short a time for an alarm
    previous: FloatArray = field(default_factory=lambda: np.empty(0))
    previous_ms: int = 0
    column: FloatArray = field(default_factory=lambda: np.empty(0))  #: what was scored last
    scores: FloatArray = field(default_factory=lambda: np.empty(0))
    over: int = 0  #: series beyond the limit, not scored
    raised: dict[int, int] = field(default_factory=dict)  #: row of an open alarm -> milliseconds when it was raised
    taught: Taught | None = None  #: that ``moved`` was made from
    moved: FloatArray = field(default_factory=lambda: np.empty(0))  #: how much people's words moved each limit


class Scoring:
    """Keeps detector state per target. Runs in one thread; give it ticks in order."""

    def __init__(
        self,
        detector: Detector,
        align: Any,
        telemetry: Telemetry,
        *,
        limit: int,
        exclude: Sequence[str],
        banded: frozenset[str],
        learning: timedelta = timedelta(),
        grouped: bool = False,
    ) -> None:
        self.detector, self._align, self.telemetry = detector, align, telemetry
        self.limit, self.banded, self._learning_ms = limit, banded, round(learning.total_seconds() * 1000)
        self._exclude = re.compile("|".join(f"(?:{pattern})" for pattern in exclude) or r"(?!)")
        self._lanes: dict[str, Lane] = {}
        self._scored = 0
        self.taught = Taught()  #: replaced from other threads
        self.memories: Memories | None = None  #: of the last life
        budget = float(getattr(detector, "false_alarms_a_day", FALSE_ALARMS_A_DAY))
        found = Grouping(self._learning_ms, budget, self._moved, self._told_of_group, recall=self._recall)
        self.groups: Grouping | None = found if grouped else None

    def ticks(self, tick: Tick) -> list[Tick]:
        """What one tick says beside its samples: its scores, alarms that are open or have just ended, its groups'."""
        scores = self.tick(tick)
        if scores is None:
            return []
        lane = self._lanes[tick.target]
        found = [scores, *([lane.told] if lane.told is not None else [])]
        if self.groups is not None:
            found += self.groups.take(tick.target, lane.column, lane.scores, tick.time_ms)
        return found

    def tick(self, tick: Tick) -> Tick | None:
        """The scores of one tick as a tick of their own; None when nothing in it is scored."""
        lane = self._lane(tick)
        if lane is None or not lane.series:
            return None
        column = self._values(lane, tick)
        scores = self._update(lane, column, tick.time_ms)
        lane.column, lane.scores = column, scores.value[:, 0]
        self._name_alarms(lane, column, scores, tick)
        values = [scores.value[:, 0]]
        values += [part[lane.banded, 0] for part in (scores.expected, scores.lower, scores.upper)]
        flat = np.concatenate(values).astype(np.float64)
        return Tick(
            target=f"score/{tick.target}",
            time_ms=tick.time_ms,
            layout=lane.out,
            values=np.where(np.isnan(flat), STALE_NAN, flat),
        )

    def _lane(self, tick: Tick) -> Lane | None:
        lane = self._lanes.get(tick.target)
        if lane is not None and lane.layout is tick.layout:
            return lane
        fresh = self._new_lane(tick.layout, 0 if lane is None else len(lane.series))
        known = lane is not None
        lane = lane or self._remembered(tick)
        if lane is not None and lane.state is not None and fresh.series:
            fresh.state = self._align(lane.state, lane.series, fresh.series)
            fresh.episodes = lane.episodes and align_episodes(lane.episodes, lane.series, fresh.series)
            fresh.previous = _carry(lane, fresh)
            fresh.raised = _carry_raised(lane, fresh)
            fresh.previous_ms = lane.previous_ms
        fresh.alarms = lane.alarms if known and lane is not None else Published(f"alarm/{tick.target}")
        self._lanes[tick.target] = fresh
        if self.groups is not None and (not known or lane is None or lane.series != fresh.series):
            self.groups.joins(tick.target, fresh.series, tick.time_ms)
        self.telemetry.not_scored.set(sum(one.over for one in self._lanes.values()))
        return fresh

    def _remembered(self, tick: Tick) -> Lane | None:
        """A target's memory of the last life, as the lane it was."""
        found = self.memories.load(tick.target, from_ms(tick.time_ms)) if self.memories else None
        if found is None:
            return None
        lane = self._new_lane(Layout(found.series), len(found.series))
        lane.series, lane.state, lane.episodes = found.series, found.state, found.episodes
        lane.previous, lane.previous_ms, lane.raised = found.previous, found.previous_ms, dict(found.raised)
        return lane

    def remember(self) -> list[Memory]:
        """What is known of every target and group now, as a copy; of detectors whose state is ours."""
        found = self.groups.states() if self.groups is not None else []
        return [Memory(target, columns, state, State({}), np.empty(0), at) for target, columns, state, at in found] + [
            Memory(target, lane.series, lane.state.copy(), lane.episodes.copy(), lane.previous.copy(),
                   lane.previous_ms, dict(lane.raised))
            for target, lane in self._lanes.items()
            if isinstance(lane.state, State) and lane.episodes is not None
        ]  # fmt: skip

    def _recall(self, target: str, now_ms: int) -> tuple[tuple[Labels, ...], State] | None:
        """A group's memory of the last life."""
        found = self.memories.load(target, from_ms(now_ms)) if self.memories else None
        return None if found is None else (found.series, found.state)

    def _new_lane(self, layout: Layout, had: int) -> Lane:
        wanted = [index for index, series in enumerate(layout.series) if self._wanted(metric_name(series))]
        room = max(self.limit - (self._scored - had), 0)
        over = max(len(wanted) - room, 0)
        wanted = wanted[:room]
        self._scored += len(wanted) - had
        series = tuple(layout.series[index] for index in wanted)
        names = [metric_name(one) for one in series]
        banded = [index for index, name in enumerate(names) if name in self.banded]
        out = [_derived(SCORE, one) for one in series]
        out += [_derived(band, series[index]) for band in BAND for index in banded]
        return Lane(
            layout=layout,
            columns=np.array(wanted, dtype=np.int64),
            series=series,
            counters=np.array([bool(COUNTER.match(name)) for name in names], dtype=np.bool_),
            out=Layout(tuple(out)),
            banded=np.array(banded, dtype=np.int64),
            previous=np.full(len(series), np.nan),
            over=over,
        )

    def _wanted(self, name: str) -> bool:
        return not NEVER.match(name) and not self._exclude.fullmatch(name)

    def _values(self, lane: Lane, tick: Tick) -> FloatArray:
        """The column to score: gauges as they are, counters as a rate per second, NaN at a reset or gap."""
        raw = tick.values[lane.columns]
        raw = np.where(is_stale(raw), np.nan, raw)
        seconds = (tick.time_ms - lane.previous_ms) / 1000.0
        rate = (raw - lane.previous) / seconds if lane.previous_ms and seconds > 0 else np.full(len(raw), np.nan)
        rate = np.where(rate < 0, np.nan, rate)
        lane.previous, lane.previous_ms = raw, tick.time_ms
        return np.where(lane.counters, rate, raw)

    def _update(self, lane: Lane, column: FloatArray, time_ms: int) -> Scores:
        present = ~np.isnan(column)
        matrix = Matrix(
            series=lane.series,
            times=np.array([time_ms], dtype=np.int64),
            values=column[:, None],
            present=present[:, None],
        )
        if lane.state is None:
            lane.state = self.detector.fit(_empty(lane.series))
        self._move_limits(lane)
        lane.state, scores = self.detector.update(lane.state, matrix)
        return scores

    def _move_limits(self, lane: Lane) -> None:
        """Before every update: a series that begins has forgotten it."""
        if lane.taught is not self.taught:
            lane.taught = self.taught
            lane.moved = self.taught.moved(lane.series)
        rows = getattr(lane.state, "rows", {})  # a detector of others may keep its state in another form
        if "alarm_moved" in rows:
            rows["alarm_moved"] = lane.moved

    def _name_alarms(self, lane: Lane, column: FloatArray, scores: Scores, tick: Tick) -> None:
        """Name what is open after this tick, and count the series that are still learned."""
        lane.episodes = episodes.start(len(lane.series)) if lane.episodes is None else lane.episodes
        watched = episodes.Watched(learning_ms=self._learning_ms, rates=lane.counters)
        rows = list[Row]()
        open_now = episodes.step(lane.episodes, column, scores, tick.time_ms, watched)
        self._count_learning(lane, ~np.isnan(column) & episodes.learning(lane.episodes, tick.time_ms, watched))
        lane.raised = {one.row: lane.raised.get(one.row, tick.time_ms) for one in open_now}
        for one in open_now:
            rows += self._told(lane.series[one.row], one.finding, lane.raised[one.row], tick.time_ms)
        lane.told = lane.alarms.tick(rows, from_ms(tick.time_ms)) if rows or len(lane.alarms) else None

    def _count_learning(self, lane: Lane, learned: BoolArray) -> None:
        learning = int(np.count_nonzero(learned))
        if learning != lane.learning:
            lane.learning = learning
            self.telemetry.learning.set(sum(one.learning for one in self._lanes.values()))

    def _told(self, series: Labels, found: Finding, raised_ms: int, time_ms: int) -> list[Row]:
        """The series of an open alarm; of one that people expect only that it is there."""
        since_ms, now = found.since_ms or time_ms, from_ms(time_ms)
        own = tuple(pair for pair in _derived("", series, kind=found.kind) if pair[0] != METRIC_NAME)
        if self.taught.expects(own, from_ms(raised_ms), now, found.change):
            return [(_derived(EXPECTED, series, kind=found.kind), 1.0)]
        readings = (1.0, since_ms / 1000.0, found.change, raised_ms / 1000.0, found.baseline, found.factor)
        return [(_derived(name, series, kind=found.kind), value) for name, value in zip(ALARM, readings, strict=True)]

    def _moved(self, series: Labels) -> float:
        return float(self.taught.moved([series])[0])

    def _told_of_group(self, series: Labels, found: Finding, time_ms: int) -> list[Row]:
        return self._told(series, found, found.since_ms or time_ms, time_ms)

    def lanes(self) -> Mapping[str, int]:
        """Series scored per target."""
        return {target: len(lane.series) for target, lane in list(self._lanes.items())}


def _derived(name: str, series: Labels, **more: str) -> Labels:
    """``node_load1{...}`` as ``watchkeeper_anomaly_score{metric="node_load1",...}``."""
    pairs = {("metric" if key == METRIC_NAME else key): value for key, value in series}
    return tuple(sorted({**pairs, **more, METRIC_NAME: name}.items()))


def _empty(series: tuple[Labels, ...]) -> Matrix:
    shape = (len(series), 0)
    return Matrix(
        series=series,
        times=np.empty(0, dtype=np.int64),
        values=np.empty(shape),
        present=np.empty(shape, dtype=np.bool_),
    )


def _carry(old: Lane, new: Lane) -> FloatArray:
    """The last raw values of series that both lanes have."""
    known = dict(zip(old.series, old.previous, strict=True))
    return np.array([known.get(series, np.nan) for series in new.series], dtype=np.float64)


def _carry_raised(old: Lane, new: Lane) -> dict[int, int]:
    """When the open alarms of series that both lanes have were raised."""
    place = {series: row for row, series in enumerate(new.series)} if old.raised else {}
    return {place[old.series[row]]: at for row, at in old.raised.items() if old.series[row] in place}
