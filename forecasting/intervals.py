"""Bands from back-test errors: own size, shared shape, growth along the horizon."""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import FloatArray

from .backtest import mean_of_known
from .base import QUANTILES, Bounds

#: Few and related origins understate errors; these widen the inner and the outer band.
WIDEN = {0.025: 1.3, 0.1: 1.15, 0.5: 0.0, 0.9: 1.15, 0.975: 1.3}
#: Series in a batch from which their errors say more together than each alone.
POOL = 5
#: Mean absolute error to quantiles of a normal error, where no back-test was possible.
NORMAL = {0.025: -2.456, 0.1: -1.606, 0.5: 0.0, 0.9: 1.606, 0.975: 2.456}


def growth(errors: FloatArray, horizon: int) -> FloatArray:
    """How errors grow along the horizon, 1 on average over the steps judged: a power of the step."""
    steps = errors.shape[2]
    where = np.arange(1, horizon + 1, dtype=np.float64)
    size = mean_of_known(np.abs(errors), axis=(0,))  # [series, step]
    level = mean_of_known(size, axis=(1,))
    sound = level > 0
    if steps < 3 or not sound.any():
        exponent = 0.3
    else:
        relative = mean_of_known(size[sound] / level[sound, None], axis=(0,))
        known = ~np.isnan(relative) & (relative > 0)
        logs = np.log(where[:steps][known])
        spread = logs - logs.mean()
        power = float(spread @ spread)
        exponent = float(spread @ np.log(relative[known])) / power if power > 0 else 0.3
    curve = where ** np.clip(exponent, 0.0, 0.8)
    return np.asarray(curve / curve[:steps].mean())


def quantile_of_known(values: FloatArray, quantile: float) -> FloatArray:
    """Quantile of the known entries of each row; 0 for a row without any."""
    ranked = np.sort(values, axis=1)  # NaN sorts to the end
    known = np.count_nonzero(~np.isnan(values), axis=1)
    place = quantile * np.maximum(known - 1, 0)
    low, rows = np.floor(place).astype(np.int64), np.arange(len(values))
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    between = ranked[rows, low] + (place - low) * (ranked[rows, high] - ranked[rows, low])
    return np.where(known > 0, between, 0.0)


def from_errors(path: FloatArray, errors: FloatArray, bounds: Bounds) -> tuple[FloatArray, FloatArray]:
    """(quantile paths [series, quantile, step], share of back-test actuals inside the 80 % band [series])."""
    curve = growth(errors, path.shape[1])
    scaled = errors / curve[None, None, : errors.shape[2]]
    size = np.nan_to_num(mean_of_known(np.abs(scaled), axis=(0, 2)))
    unit = -np.moveaxis(scaled, 1, 0).reshape(len(path), -1) / np.where(size > 0, size, 1.0)[:, None]  # actual - path
    reach = {quantile: _reach(unit, size, quantile) for quantile in QUANTILES}
    bands = np.stack([path + (size * reach[q])[:, None] * curve for q in QUANTILES], axis=1)
    known = ~np.isnan(unit)
    inside = (unit >= reach[0.1][:, None]) & (unit <= reach[0.9][:, None]) & known
    count = known.sum(axis=1)
    coverage = np.where(count > 0, inside.sum(axis=1) / np.maximum(count, 1), np.nan)
    return finish(bands, bounds), coverage


def _reach(unit: FloatArray, size: FloatArray, quantile: float) -> FloatArray:
    own = quantile_of_known(unit, quantile)
    moving = size > 0
    if np.count_nonzero(moving) >= POOL:
        pooled = quantile_of_known(unit[moving].reshape(1, -1), quantile)[0]
        own = 0.5 * own + 0.5 * pooled
    side = np.minimum(own, 0.0) if quantile < 0.5 else np.maximum(own, 0.0)
    return np.asarray(WIDEN[quantile] * side)


def without_backtest(path: FloatArray, history: FloatArray, bounds: Bounds) -> FloatArray:
    """Bands from the usual change between neighbours, growing with the root of the step."""
    change = np.abs(np.diff(history, axis=1)).mean(axis=1) if history.shape[1] > 1 else np.zeros(len(history))
    curve = np.sqrt(np.arange(1, path.shape[1] + 1))
    bands = np.stack([path + (NORMAL[q] * change)[:, None] * curve for q in QUANTILES], axis=1)
    return finish(bands, bounds)


def finish(bands: FloatArray, bounds: Bounds) -> FloatArray:
    """Inside the bounds and never crossing; the expected path keeps its place in the middle."""
    middle = QUANTILES.index(0.5)
    bands = bounds.clip(bands)
    for at in range(middle - 1, -1, -1):
        bands[:, at] = np.minimum(bands[:, at], bands[:, at + 1])
    for at in range(middle + 1, len(QUANTILES)):
        bands[:, at] = np.maximum(bands[:, at], bands[:, at - 1])
    return bands
