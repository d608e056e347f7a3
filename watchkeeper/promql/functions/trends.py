"""deriv, predict_linear and double_exponential_smoothing: lines and levels through a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Windows

#: Samples between two looks at the clock.
TICK_EVERY = 1024


def _line(values: FloatArray, inside: BoolArray, seconds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope and the value at second 0 of the least-squares line; NaN as soon as a sample is not finite."""
    count = np.maximum(inside.sum(axis=-1), 1)
    base = values[..., :1]
    rise = np.where(inside, values - base, 0.0)  # from the first sample: a constant has slope exactly 0
    time = np.where(inside, seconds, 0.0)
    middle, level = time.sum(axis=-1) / count, rise.sum(axis=-1) / count
    across = np.where(inside, seconds - middle[..., None], 0.0)
    slope = (across * rise).sum(axis=-1) / (across**2).sum(axis=-1)
    slope = np.where((np.isfinite(values) | ~inside).all(axis=-1), slope, np.nan)
    return slope, base[..., 0] + level - slope * middle


def deriv(windows: Windows) -> tuple[FloatArray, BoolArray]:
    """Change per second of the line through the window."""
    answer = np.full(windows.shape, np.nan)
    for part, values, inside, times in windows.padded():
        answer[:, part], _ = _line(values, inside, (times - times[..., :1]) / 1000)
    return answer, windows.present(2)


def predict_linear(windows: Windows, now: FloatArray, ahead: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The line's value ``ahead`` seconds after the step."""
    answer = np.full(windows.shape, np.nan)
    for part, values, inside, times in windows.padded():
        slope, level = _line(values, inside, times / 1000 - now[part, None])
        answer[:, part] = slope * ahead[part] + level
    return answer, windows.present(2)


def double_exponential_smoothing(
    windows: Windows, smoothing: FloatArray, trend: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Holt's smoothed level at the end of the window. Both factors lie strictly between 0 and 1."""
    for name, factor in (("smoothing", smoothing), ("trend", trend)):
        wrong = factor[~((factor > 0) & (factor < 1))]
        if len(wrong):
            raise QueryError(
                f"invalid {name} factor. Expected: 0 < {name} factor < 1, got: {wrong[0]:f}", kind="execution"
            )
    answer = np.full(windows.shape, np.nan)
    for part, values, inside, _ in windows.padded():
        answer[:, part] = _holt(values, inside, smoothing[part], trend[part], windows.tick)
    return answer, windows.present(2)


def _holt(
    values: FloatArray, inside: BoolArray, smoothing: FloatArray, trend: FloatArray, tick: Callable[[], None]
) -> FloatArray:
    """``tick`` stops a computation that takes too long: every sample is a step of its own."""
    if values.shape[-1] < 2:
        return values[..., 0]
    level, slope = values[..., 0], values[..., 1] - values[..., 0]
    for i in range(1, values.shape[-1]):
        if i % TICK_EVERY == 0:
            tick()
        more = inside[..., i]
        following = smoothing * values[..., i] + (1 - smoothing) * (level + slope)
        turned = trend * (following - level) + (1 - trend) * slope
        level, slope = np.where(more, following, level), np.where(more, turned, slope)
    return level
