"""Score: every tick goes through the detector, and what it says is a series like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from watchkeeper.model import METRIC_NAME, STALE_NAN, Labels, Layout, Matrix, Scores, Tick, is_stale, metric_name
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.ports import Detector
from watchkeeper.telemetry import Telemetry

SCORE = "watchkeeper_anomaly_score"
BAND = ("watchkeeper_expected", "watchkeeper_expected_lower", "watchkeeper_expected_upper")

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
    previous: FloatArray = field(default_factory=lambda: np.empty(0))
    previous_ms: int = 0
    over: int = 0  #: series beyond the limit, not scored


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
    ) -> None:
        self.detector, self._align, self.telemetry = detector, align, telemetry
        self.limit, self.banded = limit, banded
        self._exclude = re.compile("|".join(f"(?:{pattern})" for pattern in exclude) or r"(?!)")
        self._lanes: dict[str, Lane] = {}
        self._scored = 0

    def tick(self, tick: Tick) -> Tick | None:
        """The scores of one tick as a tick of their own; None when nothing in it is scored."""
        lane = self._lane(tick)
        if lane is None or not lane.series:
            return None
        column = self._values(lane, tick)
        scores = self._update(lane, column, tick.time_ms)
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
        if lane is not None and lane.state is not None and fresh.series:
            fresh.state = self._align(lane.state, lane.series, fresh.series)
            fresh.previous = _carry(lane, fresh)
            fresh.previous_ms = lane.previous_ms
        self._lanes[tick.target] = fresh
        self.telemetry.not_scored.set(sum(one.over for one in self._lanes.values()))
        return fresh

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
        lane.state, scores = self.detector.update(lane.state, matrix)
        return scores

    def lanes(self) -> Mapping[str, int]:
        """Series scored per target."""
        return {target: len(lane.series) for target, lane in list(self._lanes.items())}


def _derived(name: str, series: Labels) -> Labels:
    """``node_load1{...}`` as ``watchkeeper_anomaly_score{metric="node_load1",...}``."""
    pairs = {("metric" if key == METRIC_NAME else key): value for key, value in series}
    return tuple(sorted({**pairs, METRIC_NAME: name}.items()))


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
