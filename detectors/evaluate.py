"""Scores recorded series in one go, for benchmarks and the command line. Causal: a score never looks ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, FloatArray

from . import base
from .ensemble import Ensemble

#: A score from here on opens an alarm.
ALARM = 0.5
#: Samples after an alarm in which a further one must score clearly higher.
QUIET = 30
#: How much of the last alarm's score a new one must still beat, falling linearly to nothing over QUIET samples.
REMEMBERED = 1.0

Job = tuple[npt.NDArray[Any], npt.NDArray[Any], Mapping[str, Any]]
Scored = tuple[FloatArray, BoolArray]


def score_series(timestamps: npt.NDArray[Any], values: npt.NDArray[Any], meta: Mapping[str, Any]) -> Scored:
    """(score, is_anomaly) of one series, or of one group of series given as columns; seconds since the epoch."""
    return score_batch([(timestamps, values, meta)])[0]


def score_batch(jobs: Sequence[Job]) -> list[Scored]:
    """The same for many series; those with and without real time stamps are each scored together."""
    clocked = [_has_clock(times, meta) for times, _, meta in jobs]
    answers: dict[int, Scored] = {}
    for season in (True, False):
        chosen = [index for index, has_clock in enumerate(clocked) if has_clock is season]
        answers |= dict(zip(chosen, _score_alike([jobs[index] for index in chosen], season=season), strict=True))
    return [answers[index] for index in range(len(jobs))]


score_batch.batch = True  # type: ignore[attr-defined]  # the harness asks the function whether it takes batches


def _has_clock(timestamps: npt.NDArray[Any], meta: Mapping[str, Any]) -> bool:
    """A row number is no time of day: the first stamp must lie after 1980."""
    return bool(meta.get("interval_s")) and len(timestamps) > 0 and float(timestamps[0]) > 315_532_800


def _score_alike(jobs: Sequence[Job], *, season: bool) -> list[Scored]:
    if not jobs:
        return []
    widths = [1 if values.ndim == 1 else values.shape[1] for _, values, _ in jobs]
    lengths = [len(values) for _, values, _ in jobs]
    samples = np.full((sum(widths), max(lengths)), np.nan)
    moments = np.zeros((sum(widths), max(lengths)), dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(widths)])
    for row, width, length, (times, values, _) in zip(first, widths, lengths, jobs, strict=False):
        samples[row : row + width, :length] = np.asarray(values, dtype=np.float64).reshape(length, width).T
        moments[row : row + width, :length] = (np.asarray(times, dtype=np.float64) * 1000).astype(np.int64)
    rarity = _rarity(samples, moments, season=season)
    scores = [
        _group(rarity[row : row + width, :length]) for row, width, length in zip(first, widths, lengths, strict=False)
    ]
    return [(score, alarms(score)) for score in scores]


def _rarity(samples: FloatArray, moments: npt.NDArray[np.int64], *, season: bool) -> FloatArray:
    """Scores of all rows, walked column by column; rows may have clocks of their own."""
    detector = Ensemble(season=season)
    usable = np.where(np.isfinite(samples), np.clip(np.nan_to_num(samples), -base.LARGEST, base.LARGEST), np.nan)
    state, scores = detector.start(len(samples)), np.full(samples.shape, np.nan)
    columns, clocks = np.ascontiguousarray(usable.T), np.ascontiguousarray(moments.T)
    for at in range(samples.shape[1]):
        scores[:, at] = detector.step(state, columns[at], clocks[at]).value
    return scores


def _group(scores: FloatArray) -> FloatArray:
    """One score of several series: the mean of their rarities, so that several mildly odd ones count."""
    if len(scores) == 1:
        alone: FloatArray = scores[0]
        return alone
    rarity = base.HALF_RARITY * scores / np.maximum(1.0 - scores, 1e-6)
    known = ~np.isnan(rarity)
    mean = np.where(known, rarity, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    score: FloatArray = np.where(known.any(axis=0), base.rarity_score(mean), np.nan)
    return score


def alarms(score: FloatArray) -> BoolArray:
    """True where an alarm opens: the score passes ALARM and rises over what recent alarms left behind."""
    alarm = np.zeros(len(score), dtype=np.bool_)
    last, height = -QUIET, 0.0
    for at in np.flatnonzero(np.nan_to_num(score) >= ALARM).tolist():
        remembered = height * REMEMBERED * max(0.0, 1.0 - (at - last) / QUIET)
        if score[at] > remembered:
            alarm[at] = True
            last, height = at, float(score[at])
    return alarm
