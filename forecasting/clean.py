"""Histories made whole before anything learns from them: gaps filled by phase, lone spikes cut."""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray

#: A sample further than this many robust standard deviations from what surrounds it is a spike.
SPIKE_SIGMAS = 7.0
MAD_TO_SIGMA = 1.4826
#: Spikes in a row after which they are a level and not an accident.
MOST_SPIKES = 3


def fill_gaps(values: FloatArray, season: int) -> FloatArray:
    """Gaps filled along the seasonal shape: the usual at that phase, on the level between neighbours."""
    filled = values.copy()
    for row in np.flatnonzero(np.isnan(values).any(axis=1)).tolist():
        known = ~np.isnan(values[row])
        if known.any():
            filled[row] = _fill_one(values[row], known, season)
    return filled


def _fill_one(values: FloatArray, known: BoolArray, season: int) -> FloatArray:
    length = len(values)
    shape = np.zeros(length)
    if season > 1 and np.count_nonzero(known) >= season:
        shape = phase_medians(values, season)[np.arange(length) % season]
    where = np.arange(length)
    level = np.interp(where, where[known], (values - shape)[known])
    return np.where(known, values, level + shape)


def phase_medians(values: FloatArray, season: int) -> FloatArray:
    """Median deviation from the overall median at each phase; 0 where a phase was never seen."""
    padded = np.full(-(-len(values) // season) * season, np.nan)
    padded[: len(values)] = values
    blocks = np.sort(padded.reshape(-1, season), axis=0)  # NaN sorts to the end
    count = np.count_nonzero(~np.isnan(blocks), axis=0)
    phase = np.arange(season)
    middle = (blocks[np.maximum(count - 1, 0) // 2, phase] + blocks[np.minimum(count // 2, len(blocks) - 1), phase]) / 2
    overall = float(np.median(values[~np.isnan(values)]))
    return np.where(count > 0, middle - overall, 0.0)


def tame_spikes(values: FloatArray, season: int) -> FloatArray:
    """Lone wild samples cut to the edge of what is usual; runs of them are left, for they may be a new level."""
    if values.shape[1] < 8:
        return values
    back = season if values.shape[1] > 2 * season else 1
    usual = _surroundings(values, back)
    off = values - usual
    sigma = MAD_TO_SIGMA * np.median(np.abs(off), axis=1, keepdims=True)
    limit = SPIKE_SIGMAS * sigma
    wild = (np.abs(off) > limit) & (sigma > 0)
    lone = wild & ~_in_long_run(wild)
    lone[:, -1] = False  # the newest sample may be the first of a new level
    return np.where(lone, usual + np.clip(off, -limit, limit), values)


def _surroundings(values: FloatArray, back: int) -> FloatArray:
    """Median of the neighbours in time and of the same phase one season before and after."""
    length = values.shape[1]
    where = np.arange(length)
    offsets = (-2, -1, 1, 2) if back == 1 else (-1, 1, -back, back, -2 * back, 2 * back)
    looks = []
    for offset in offsets:
        place = where + offset
        place = np.where((place < 0) | (place >= length), where - offset, place)
        looks.append(values[:, np.clip(place, 0, length - 1)])
    return np.asarray(np.median(np.stack(looks), axis=0))


def _in_long_run(
    wild: BoolArray,
) -> BoolArray:
    """True where at least MOST_SPIKES wild samples stand in a row."""
    window = np.cumsum(np.pad(wild, ((0, 0), (MOST_SPIKES, 0))).astype(np.int64), axis=1)
    full = (window[:, MOST_SPIKES:] - window[:, :-MOST_SPIKES]) == MOST_SPIKES
    run: BoolArray = full.copy()
    for back in range(1, MOST_SPIKES):
        run[:, :-back] |= full[:, back:]
    return run
