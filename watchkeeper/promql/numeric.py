"""Arithmetic the functions and aggregations share: compensated sums and quantiles over the last axis."""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray


def one_sign(values: FloatArray) -> bool:
    """All finite and none on the other side of zero: a plain sum cancels nothing and is as good as any."""
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    return bool((low >= 0 or high <= 0) and np.isfinite(low) and np.isfinite(high))


def compensated_sum(values: FloatArray) -> FloatArray:
    """Neumaier's sum over the last axis in order, as Prometheus adds; an infinite sum needs no correction."""
    total, lost = np.zeros(values.shape[:-1]), np.zeros(values.shape[:-1])
    for i in range(values.shape[-1]):
        item = values[..., i]
        new = total + item
        missed = np.where(np.abs(total) >= np.abs(item), (total - new) + item, (item - new) + total)
        lost = np.where(np.isinf(new), 0.0, lost + missed)
        total = new
    answer: FloatArray = np.where(np.isinf(total), total, total + lost)
    return answer


def quantile(q: FloatArray | np.float64, values: FloatArray, inside: BoolArray) -> FloatArray:
    """The q-quantile over the last axis of the cells ``inside``; NaN sorts below everything, as in Prometheus."""
    count = np.broadcast_to(inside, values.shape).sum(axis=-1)
    # sorted: NaN first, then the values, then what is outside
    nan = np.isnan(values) & inside
    ordered = np.sort(np.where(inside & ~nan, values, np.inf), axis=-1)
    nans = nan.sum(axis=-1)
    rank = q * (count - 1)
    lower = np.maximum(np.floor(np.where(np.isnan(rank), 0.0, rank)), 0)
    upper = np.minimum(lower + 1, count - 1)
    weight = rank - np.floor(rank)
    low, high = _ranked(ordered, nans, lower), _ranked(ordered, nans, upper)
    answer = low * (1 - weight) + high * weight
    answer = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, answer))
    quantiles: FloatArray = np.where(np.isnan(q) | (count == 0), np.nan, answer)
    return quantiles


def _ranked(ordered: FloatArray, nans: FloatArray, rank: FloatArray) -> FloatArray:
    place = np.clip(rank - nans, 0, ordered.shape[-1] - 1).astype(np.intp)
    found = np.take_along_axis(ordered, np.broadcast_to(place, ordered.shape[:-1])[..., None], axis=-1)[..., 0]
    ranked: FloatArray = np.where(rank < nans, np.nan, found)
    return ranked
