"""Scores recorded series in one go, for benchmarks and the command line. Causal: a score never looks ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, FloatArray, IntArray

from . import alarm, base, daily, groups, moving, together
from .ensemble import CLOCKLESS_DAY, Ensemble

Job = tuple[npt.NDArray[Any], npt.NDArray[Any], Mapping[str, Any]]
Scored = tuple[FloatArray, BoolArray]


def score_series(timestamps: npt.NDArray[Any], values: npt.NDArray[Any], meta: Mapping[str, Any]) -> Scored:
    """(score, is_anomaly) of one series, or of one group of series given as columns; seconds since the epoch."""
    return score_batch([(timestamps, values, meta)])[0]


def score_batch(jobs: Sequence[Job]) -> list[Scored]:
    """The same for many series; those that share interval and kind of clock are scored together, each by its own."""
    answers: dict[int, Scored] = {}
    kinds = [_kind(times, meta) for times, _, meta in jobs]
    for kind in dict.fromkeys(kinds):
        chosen = [index for index, one in enumerate(kinds) if one == kind]
        answers |= dict(zip(chosen, _score_alike([jobs[index] for index in chosen], season=kind[0]), strict=True))
    return [answers[index] for index in range(len(jobs))]


score_batch.batch = True  # type: ignore[attr-defined]  # the harness asks the function whether it takes batches


def _kind(timestamps: npt.NDArray[Any], meta: Mapping[str, Any]) -> tuple[bool, float]:
    """(whether the time stamps are real, seconds between the first two); a row number is no time of day."""
    clock = bool(meta.get("interval_s")) and len(timestamps) > 0 and float(timestamps[0]) > 315_532_800
    return clock, float(timestamps[1] - timestamps[0]) if len(timestamps) > 1 else 0.0


def _score_alike(jobs: Sequence[Job], *, season: bool) -> list[Scored]:
    """One row a value; rows of longer series first, so that those still running are always the first ones."""
    order = sorted(range(len(jobs)), key=lambda index: -len(jobs[index][0]))
    columns = [np.asarray(jobs[index][1], np.float64).reshape(len(jobs[index][0]), -1) for index in order]
    times = [(np.asarray(jobs[index][0], np.float64) * 1000).astype(np.int64) for index in order]
    rows = [(place, at) for place, block in enumerate(columns) for at in range(block.shape[1])]
    samples = [np.ascontiguousarray(columns[place][:, at]) for place, at in rows]
    moments = [times[place] for place, _ in rows]
    value, alarms = _walk(samples, moments, season=season)
    clocked = season and len(times[0]) > 1
    a_day = daily.DAY_MS / max(1, int(times[0][1] - times[0][0])) if clocked else CLOCKLESS_DAY
    answers: dict[int, Scored] = {}
    for place, index in enumerate(order):
        mine = [row for row, (owner, _) in enumerate(rows) if owner == place]
        scored, rings, seen = ([one[row] for row in mine] for one in (value, alarms, samples))
        answers[index] = _joined(scored, rings, seen, a_day)
    return [answers[index] for index in range(len(jobs))]


def _walk(
    samples: list[FloatArray], moments: list[IntArray], *, season: bool
) -> tuple[list[FloatArray], list[FloatArray]]:
    """(scores, alarms) of series that all start at their first column."""
    detector = Ensemble(season=season)
    value, alarms = [np.full(len(one), np.nan) for one in samples], [np.zeros(len(one)) for one in samples]
    for state, at, block, times in blocks(detector, samples, moments):
        scored, rings = np.ascontiguousarray(detector.block(state, block, times, steady=True, band=False))
        until = at + block.shape[1]
        for row in range(len(block)):
            value[row][at:until], alarms[row][at:until] = scored[row], rings[row]
    return value, alarms


def blocks(
    detector: Ensemble, samples: Sequence[FloatArray], moments: Sequence[IntArray]
) -> Iterator[tuple[base.State, int, FloatArray, IntArray]]:
    """(state, first column, samples [series, time], times) of block after block; who takes one moves the state on.

    Longer series come first: those of a block are the first ones. Moments in milliseconds since the epoch.
    """
    state, lengths = detector.start(len(samples)), np.array([len(one) for one in samples])
    alike = all(np.array_equal(one, moments[0][: len(one)]) for one in moments[1:])
    at = 0
    while at < (lengths.max() if len(lengths) else 0):
        running = int(np.count_nonzero(lengths > at))
        state = base.first_rows(state, running)
        until = min(at + detector.longest(state), int(lengths[running - 1]))
        times = _times(moments[: 1 if alike else running], at, until, season=detector.season)
        if detector.season:
            over = times - times[:, :1] >= daily.reach_ms(int(state.shared["clock"][1]))
            until = at + max(1, int(np.argmax(over.any(axis=0)))) if over.any() else until
        block = moving.room(running, until - at)
        for row in range(running):
            block[row] = samples[row][at:until]
        block = base.usable(block)
        gaps = np.flatnonzero(np.isnan(block).any(axis=0))
        block = block[:, : max(1, gaps[0])] if len(gaps) else block
        until = at + block.shape[1]
        yield state, at, block, times[:, : until - at]
        at = until


def _times(moments: Sequence[IntArray], at: int, until: int, *, season: bool) -> IntArray:
    """[series, time], or [1, time] where all go by one clock."""
    first = moments[0][at:until]
    if not season or all(np.array_equal(one[at:until], first) for one in moments[1:]):
        return first[None]
    return np.stack([one[at:until] for one in moments])


def _joined(
    scores: list[FloatArray], alarms: list[FloatArray], samples: list[FloatArray], samples_a_day: float
) -> Scored:
    """One score of several series: how far they are from what they are together, and the mean of their logits.

    It pages as one series does, by that distance; any of them pages for all while the distance is not known yet.
    """
    rings = np.nan_to_num(np.stack(alarms)).max(axis=0) > 0
    if len(scores) == 1:
        return scores[0], rings
    distance, _ = together.score(together.start(len(samples)), base.usable(np.stack(samples)))
    known, begins = ~np.isnan(distance), groups.begins(distance)
    budget = alarm.Budget(Ensemble().false_alarms_a_day, samples_a_day)
    state, seen = base.State(alarm.start_rows(1)), np.arange(len(distance))[None]
    opened = alarm.judge(state, alarm.Evidence(begins[None]), known[None], seen, budget)[0] > 0
    value = groups.value(np.nan_to_num(distance), groups.mean_logit(np.stack(scores)))
    return value, np.where(known, opened, rings)
