"""Cheap ways to continue many histories at once; each is a few matrix products, none loops over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from watchkeeper.model.series import FloatArray

from .shape import Shape, take_apart, usable

#: (cleaned history [series, time], horizon, seasons) -> paths by name, each [series, horizon].
Candidates = Callable[[FloatArray, int, tuple[int, ...]], Mapping[str, FloatArray]]


def smoothed_level(values: FloatArray, gain: float) -> FloatArray:
    """Exponentially weighted mean of each history, newest samples first in weight."""
    weight = gain * (1.0 - gain) ** np.arange(values.shape[1] - 1, -1, -1)
    return np.asarray(values @ (weight / weight.sum()))


def slope(values: FloatArray) -> FloatArray:
    """Least-squares slope per sample over all samples given; 0 for a single one."""
    length = values.shape[1]
    if length < 2:
        return np.zeros(len(values))
    where = np.arange(length) - (length - 1) / 2
    return np.asarray(values @ (where / (where @ where)))


def last_value(values: FloatArray, horizon: int) -> FloatArray:
    return np.repeat(values[:, -1:], horizon, axis=1)


def repeat_season(values: FloatArray, horizon: int, season: int) -> FloatArray:
    """The newest season again and again; the last value where there is no whole season."""
    if season < 2 or values.shape[1] < season:
        return last_value(values, horizon)
    return np.asarray(values[:, values.shape[1] - season + np.arange(horizon) % season])


def seasonal_naive(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> dict[str, FloatArray]:
    return {"seasonal_naive": repeat_season(values, horizon, seasons[0] if seasons else 1)}


def drift(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> dict[str, FloatArray]:  # noqa: ARG001 - one signature for all
    """The last value, moving on by the mean change of the history."""
    change = (values[:, -1] - values[:, 0]) / max(values.shape[1] - 1, 1)
    return {"drift": values[:, -1:] + change[:, None] * np.arange(1, horizon + 1)}


def theta(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> dict[str, FloatArray]:
    """Assimakopoulos & Nikolopoulos, 2000: smoothed level plus half the slope, on the series without its seasons."""
    return {"theta": _theta(take_apart(values, horizon, seasons), horizon)}


def _theta(parts: Shape, horizon: int) -> FloatArray:
    path = smoothed_level(parts.rest, 0.3)[:, None] + 0.5 * slope(parts.rest)[:, None] * np.arange(1, horizon + 1)
    return np.asarray(path + parts.future)


def profile(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> dict[str, FloatArray]:
    """The shrunken seasonal profile on a damped level."""
    parts = take_apart(values, horizon, seasons)
    return {"profile": smoothed_level(parts.rest, 0.1)[:, None] + parts.future}


def _reverting(parts: Shape, horizon: int, window: int) -> FloatArray:
    """From the last value back to the mean, as fast as the series usually does (AR(1) on the recent rest)."""
    recent = parts.rest[:, -window:]
    mean = recent.mean(axis=1, keepdims=True)
    off = recent - mean
    power = (off[:, :-1] ** 2).sum(axis=1)
    memory = np.clip((off[:, 1:] * off[:, :-1]).sum(axis=1) / np.where(power > 0, power, 1.0), 0.0, 0.995)
    return np.asarray(mean + off[:, -1:] * memory[:, None] ** np.arange(1, horizon + 1) + parts.future)


def _damped(parts: Shape, horizon: int, window: int) -> FloatArray:
    """A short level with the recent slope, fading by 5 % a step."""
    reach = np.cumsum(0.95 ** np.arange(1, horizon + 1))
    return np.asarray(
        smoothed_level(parts.rest, 0.5)[:, None] + slope(parts.rest[:, -window:])[:, None] * reach + parts.future
    )


def unlike(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> dict[str, FloatArray]:
    """The set that ``combined`` weighs: members that err in different ways."""
    length = values.shape[1]
    parts = take_apart(values, horizon, seasons)
    window = min(length, 4 * max(seasons[0] if seasons else 12, 12))
    flat = {
        f"profile_{gain}": smoothed_level(parts.rest, gain)[:, None] + parts.future for gain in (0.01, 0.05, 0.2, 0.6)
    }
    trend = slope(parts.rest[:, -max(window, length // 4) :])[:, None] * np.arange(1, horizon + 1)
    paths = {
        **flat,
        "theta": _theta(parts, horizon),
        "reverting": _reverting(parts, horizon, length),
        "reverting_recent": _reverting(parts, horizon, window),
        "damped": _damped(parts, horizon, window),
        "trend": smoothed_level(parts.rest, 0.6)[:, None] + trend + parts.future,
        "last_value": last_value(values, horizon),
        **drift(values, horizon, seasons),
    }
    for season in usable(length, seasons):
        paths[f"seasonal_naive_{season}"] = repeat_season(values, horizon, season)
    return paths
