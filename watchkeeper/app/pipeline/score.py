"""Score: every tick goes through the detector, and what it says is a series like any other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import timedelta
from typing import Any

import numpy as np

from detectors import Finding, State, episodes, natures
from detectors import align as align_episodes
from watchkeeper.app.pipeline.groups import Grouping, target_of
from watchkeeper.app.pipeline.lanes import (
    About,
    Lane,
    Override,
    Watched,
    carry,
    carry_raised,
    derived,
    empty,
    key_of,
    kind_of,
    within,
)
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.pipeline.scored import Memories, Memory
from watchkeeper.app.pipeline.taught import Taught
from watchkeeper.clock import from_ms
from watchkeeper.model import METRIC_NAME, STALE_NAN, Labels, Layout, Matrix, Scores, Tick, is_stale, metric_name
from watchkeeper.model.series import BoolArray, FloatArray
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

#: Series whose memories are copied at once; a group's is as large as that of so many.
PORTION, GROUP_SIZE = 1000, 50
#: Budget of a group where the detector has none of its own.
FALSE_ALARMS_A_DAY = 0.15
#: Never scored: buckets are one distribution, info and timestamps say nothing by their level.
NEVER = re.compile(
    r".*_(bucket|info|created)$|.*_timestamp_seconds$|(.*_)?(start|boot|modified|mtime|expiry)_time_seconds$"
    r"|node_time_seconds$|scrape_.*|up$|ALERTS.*"
)


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
        overrides: Sequence[Override] = (),
    ) -> None:
        self.detector, self._align, self.telemetry = detector, align, telemetry
        self.overrides = tuple(overrides)
        self.limit, self.banded, self._learning_ms = limit, banded, round(learning.total_seconds() * 1000)
        self.about: About = lambda _target, _name: ("", "")
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
        return [found for choice in range(len(self.overrides) + 1) for found in self._ticks(tick, choice)]

    def _ticks(self, tick: Tick, choice: int) -> list[Tick]:
        scores = self.tick(tick, choice)
        if scores is None:
            return []
        key = key_of(tick.target, choice)
        lane = self._lanes[key]
        found = [scores, *([lane.told] if lane.told is not None else [])]
        if self.groups is not None:
            found += self.groups.take(key, lane.column, lane.scores, tick.time_ms)
        return found

    def tick(self, tick: Tick, choice: int = 0) -> Tick | None:
        """The scores of one tick as a tick of their own; None when nothing in it is scored.

        ``choice``: 0 for series of the usual detector, else the number of the override.
        """
        lane = self._lane(tick, choice)
        if lane is None or not lane.series:
            return None
        column = self._values(lane, tick)
        scores = within(self._update(lane, column, tick.time_ms), lane)
        lane.column, lane.scores = column, scores.value[:, 0]
        self._name_alarms(lane, column, scores, tick)
        values = [scores.value[:, 0]]
        values += [part[lane.banded, 0] for part in (scores.expected, scores.lower, scores.upper)]
        flat = np.concatenate(values).astype(np.float64)
        return Tick(
            target=f"score/{key_of(tick.target, choice)}",
            time_ms=tick.time_ms,
            layout=lane.out,
            values=np.where(np.isnan(flat), STALE_NAN, flat),
        )

    def _lane(self, tick: Tick, choice: int) -> Lane | None:
        key = key_of(tick.target, choice)
        lane = self._lanes.get(key)
        if lane is not None and lane.layout is tick.layout:
            return lane
        fresh = self._new_lane(tick.target, choice, tick.layout, 0 if lane is None else len(lane.series))
        known = lane is not None
        lane = lane or self._remembered(tick, choice)
        if lane is not None and lane.state is not None and fresh.series:
            fresh.state = self._align(lane.state, lane.series, fresh.series)
            fresh.episodes = lane.episodes and align_episodes(lane.episodes, lane.series, fresh.series)
            fresh.previous = carry(lane, fresh)
            fresh.raised = carry_raised(lane, fresh)
            fresh.previous_ms = lane.previous_ms
        fresh.alarms = lane.alarms if known and lane is not None else Published(f"alarm/{key}")
        self._lanes[key] = fresh
        if self.groups is not None and (not known or lane is None or lane.series != fresh.series):
            self.groups.joins(key, fresh.series, tick.time_ms)
        self.telemetry.not_scored.set(sum(one.over for one in self._lanes.values()))
        return fresh

    def _remembered(self, tick: Tick, choice: int) -> Lane | None:
        """A target's memory of the last life, as the lane it was."""
        target = tick.target
        key = key_of(target, choice)
        found = self.memories.load(key, from_ms(tick.time_ms)) if self.memories else None
        if found is None:
            return None
        lane = self._new_lane(target, choice, Layout(found.series), len(found.series))
        lane.series, lane.state, lane.episodes = found.series, found.state, found.episodes
        lane.previous, lane.previous_ms, lane.raised = found.previous, found.previous_ms, dict(found.raised)
        return lane

    def portions(self) -> list[frozenset[str]]:
        """Targets and groups a few at a time, for ``remember``: copying all at once would hold up the scores."""
        sizes = {key: len(lane.series) for key, lane in list(self._lanes.items())}
        sizes |= {target_of(key): GROUP_SIZE for key in list(self.groups.all)} if self.groups is not None else {}
        found, room = list[set[str]](), 0
        for key, size in sizes.items():
            if not found or size > room:  # a target may come first that has no scored series
                found, room = [*found, set()], PORTION
            found[-1].add(key)
            room -= size
        return [frozenset(one) for one in found]

    def remember(self, only: Set[str] | None = None) -> list[Memory]:
        """What is known of these targets and groups now, or of all, as a copy; of detectors whose state is ours."""
        found = self.groups.states(only) if self.groups is not None else []
        return [Memory(target, columns, state, State({}), np.empty(0), at) for target, columns, state, at in found] + [
            Memory(target, lane.series, lane.state.copy(), lane.episodes.copy(), lane.previous.copy(),
                   lane.previous_ms, dict(lane.raised))
            for target, lane in self._lanes.items()
            if (only is None or target in only) and isinstance(lane.state, State) and lane.episodes is not None
        ]  # fmt: skip

    def _recall(self, target: str, now_ms: int) -> tuple[tuple[Labels, ...], State] | None:
        """A group's memory of the last life."""
        found = self.memories.load(target, from_ms(now_ms)) if self.memories else None
        return None if found is None else (found.series, found.state)

    def _new_lane(self, target: str, choice: int, layout: Layout, had: int) -> Lane:
        wanted = [
            index
            for index, series in enumerate(layout.series)
            if self._wanted(metric_name(series)) and self.choice_of(series) == choice
        ]
        room = max(self.limit - (self._scored - had), 0)
        over = max(len(wanted) - room, 0)
        wanted = wanted[:room]
        self._scored += len(wanted) - had
        series = tuple(layout.series[index] for index in wanted)
        names = [metric_name(one) for one in series]
        said = [self.about(target, name) for name in names]
        banded = [index for index, name in enumerate(names) if name in self.banded]
        out = [derived(SCORE, one) for one in series]
        out += [derived(band, series[index]) for band in BAND for index in banded]
        return Lane(
            detector=self.overrides[choice - 1].detector if choice else self.detector,
            layout=layout,
            columns=np.array(wanted, dtype=np.int64),
            series=series,
            counters=np.array(
                [natures.is_counter(name, declared) for name, (declared, _) in zip(names, said, strict=True)], np.bool_
            ),
            hints=tuple(natures.hint(name, unit) for name, (_, unit) in zip(names, said, strict=True)),
            out=Layout(tuple(out)),
            banded=np.array(banded, dtype=np.int64),
            previous=np.full(len(series), np.nan),
            over=over,
        )

    def choice_of(self, series: Labels) -> int:
        """0 for the usual detector, else the number of the first override that fits."""
        return next((at for at, one in enumerate(self.overrides, 1) if one.fits(series)), 0)

    def kinds(self) -> frozenset[str]:
        """Of all detectors in use."""
        return frozenset(kind_of(one) for one in (self.detector, *(each.detector for each in self.overrides)))

    def kind_for(self, series: Labels) -> str:
        """The detector that watches a series; of an alarm its labels do, which name its metric."""
        choice = self.choice_of(series)
        return kind_of(self.overrides[choice - 1].detector if choice else self.detector)

    def watched(self) -> list[Watched]:
        """Every scored series with what is known of it; for the scoring thread."""
        return [row for lane in list(self._lanes.values()) for row in self._rows(lane)]

    def learning(self) -> frozenset[str]:
        """Metrics with a band of which every series is still learned; for the scoring thread."""
        learned, learning = set[str](), set[str]()
        for lane in list(self._lanes.values()):
            if lane.episodes is None:
                continue
            still = episodes.learning(lane.episodes, lane.previous_ms, self._watched(lane))
            for row in lane.banded.tolist():
                (learning if still[row] else learned).add(metric_name(lane.series[row]))
        return frozenset(learning - learned)

    def _rows(self, lane: Lane) -> Iterator[Watched]:
        if lane.episodes is None:
            return
        held = lane.episodes
        kinds = natures.told(held, lane.counters, lane.hints).tolist()
        learning = episodes.learning(held, lane.previous_ms, self._watched(lane)).tolist()
        name = kind_of(lane.detector)
        for row, series in enumerate(lane.series):
            yield Watched(
                series, name, natures.NATURES[kinds[row]], learning[row], int(held.rows["first"][row]),
                float(lane.scores[row]) if row < len(lane.scores) else float("nan"),
            )  # fmt: skip

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
            lane.state = lane.detector.fit(empty(lane.series))
        self._move_limits(lane)
        lane.state, scores = lane.detector.update(lane.state, matrix)
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
        watched = self._watched(lane)
        rows = list[Row]()
        open_now = episodes.step(lane.episodes, column, scores, tick.time_ms, watched)
        self._count_learning(lane, ~np.isnan(column) & episodes.learning(lane.episodes, tick.time_ms, watched))
        lane.raised = {one.row: lane.raised.get(one.row, tick.time_ms) for one in open_now}
        for one in open_now:
            rows += self._told(lane.series[one.row], one.finding, lane.raised[one.row], tick.time_ms)
        lane.told = lane.alarms.tick(rows, from_ms(tick.time_ms)) if rows or len(lane.alarms) else None

    def _watched(self, lane: Lane) -> episodes.Watched:
        return episodes.Watched(learning_ms=self._learning_ms, rates=lane.counters)

    def _count_learning(self, lane: Lane, learned: BoolArray) -> None:
        learning = int(np.count_nonzero(learned))
        if learning != lane.learning:
            lane.learning = learning
            self.telemetry.learning.set(sum(one.learning for one in self._lanes.values()))

    def _told(self, series: Labels, found: Finding, raised_ms: int, time_ms: int) -> list[Row]:
        """The series of an open alarm; of one that people expect only that it is there."""
        since_ms, now = found.since_ms or time_ms, from_ms(time_ms)
        own = tuple(pair for pair in derived("", series, kind=found.kind) if pair[0] != METRIC_NAME)
        if self.taught.expects(own, from_ms(raised_ms), now, found.change):
            return [(derived(EXPECTED, series, kind=found.kind), 1.0)]
        readings = (1.0, since_ms / 1000.0, found.change, raised_ms / 1000.0, found.baseline, found.factor)
        return [(derived(name, series, kind=found.kind), value) for name, value in zip(ALARM, readings, strict=True)]

    def _moved(self, series: Labels) -> float:
        return float(self.taught.moved([series])[0])

    def _told_of_group(self, series: Labels, found: Finding, time_ms: int) -> list[Row]:
        return self._told(series, found, found.since_ms or time_ms, time_ms)

    def lanes(self) -> Mapping[str, int]:
        """Series scored per target."""
        return {target: len(lane.series) for target, lane in list(self._lanes.items())}
