"""Targets on their way through a detector: which columns are scored, what is remembered of them, what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from detectors import BUILTIN, natures
from watchkeeper.app.pipeline.published import Published
from watchkeeper.app.pipeline.taught import Taught
from watchkeeper.model import METRIC_NAME, Labels, Layout, Matrix, Scores, Tick
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.ports import Detector

#: (type, unit) that a target declares of a metric; empty where it says nothing.
About = Callable[[str, str], tuple[str, str]]
#: Ticks after which it is looked anew what kind of quantity each series is.
RECOGNISED = 60


@dataclass(frozen=True, slots=True, eq=False)
class Override:
    """A detector for the series whose labels fit; ``metric`` is the name."""

    match: Mapping[str, re.Pattern[str]]
    detector: Detector

    def fits(self, series: Labels) -> bool:
        own = {("metric" if key == METRIC_NAME else key): value for key, value in series}
        return all(pattern.fullmatch(own.get(key, "")) for key, pattern in self.match.items())


@dataclass(frozen=True, slots=True)
class Watched:
    """One scored series and what is known of it."""

    series: Labels
    detector: str
    nature: natures.Nature
    learning: bool
    first_ms: int  #: of its first sample; 0: none yet
    score: float  #: NaN: none yet


@dataclass(slots=True, eq=False)
class Lane:
    """One target's columns on their way through the detector."""

    detector: Detector
    layout: Layout
    columns: IntArray  #: which columns of the tick are scored
    series: tuple[Labels, ...]
    counters: BoolArray
    out: Layout  #: series of the score tick: one score each, then the bands
    banded: IntArray  #: which scored series also get their band
    hints: tuple[natures.Nature, ...] = ()
    bounds: tuple[FloatArray, FloatArray] | None = None  #: that values of each series cannot leave
    ticks: int = 0
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


def declared(collector: object, metric: str) -> tuple[str, str]:
    """(type, unit) that a collector was told of a metric or of the family that it belongs to."""
    known: Mapping[str, Any] = getattr(collector, "metadata", {})
    about = known.get(metric) or known.get(metric.rpartition("_")[0])
    return (about.type, about.unit) if about is not None else ("", "")


def key_of(target: str, choice: int) -> str:
    return f"{target} {choice}" if choice else target


def kind_of(detector: Detector) -> str:
    """The word of the configuration: robust_zscore for RobustZScore."""
    return next((kind for kind, one in BUILTIN.items() if type(detector) is one), type(detector).__name__)


def within(scores: Scores, lane: Lane) -> Scores:
    """The band of a rate, a share or a count goes no further than such a value can."""
    if lane.episodes is None:
        return scores
    if lane.bounds is None or lane.ticks % RECOGNISED == 0:
        lane.bounds = natures.bounds(natures.told(lane.episodes, lane.counters, lane.hints))
    lane.ticks += 1
    least, most = (part[:, None] for part in lane.bounds)
    kept = {name: np.clip(getattr(scores, name), least, most) for name in ("expected", "lower", "upper")}
    return replace(scores, **kept)


def derived(name: str, series: Labels, **more: str) -> Labels:
    """``node_load1{...}`` as ``watchkeeper_anomaly_score{metric="node_load1",...}``."""
    pairs = {("metric" if key == METRIC_NAME else key): value for key, value in series}
    return tuple(sorted({**pairs, **more, METRIC_NAME: name}.items()))


def empty(series: tuple[Labels, ...]) -> Matrix:
    shape = (len(series), 0)
    return Matrix(
        series=series,
        times=np.empty(0, dtype=np.int64),
        values=np.empty(shape),
        present=np.empty(shape, dtype=np.bool_),
    )


def carry(old: Lane, new: Lane) -> FloatArray:
    """The last raw values of series that both lanes have."""
    known = dict(zip(old.series, old.previous, strict=True))
    return np.array([known.get(series, np.nan) for series in new.series], dtype=np.float64)


def carry_raised(old: Lane, new: Lane) -> dict[int, int]:
    """When the open alarms of series that both lanes have were raised."""
    place = {series: row for row, series in enumerate(new.series)} if old.raised else {}
    return {place[old.series[row]]: at for row, at in old.raised.items() if old.series[row] in place}
