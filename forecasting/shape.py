"""The seasonal shape of many histories at once, shrunk by how well it repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import FloatArray

#: Weight of a season against the next newer one.
FORGET = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A history taken apart: ``rest`` [series, time] without seasons, and the seasonal part of history and future."""

    rest: FloatArray
    past: FloatArray
    future: FloatArray  #: [series, horizon]


def usable(length: int, seasons: tuple[int, ...]) -> tuple[int, ...]:
    """The seasons of which the history holds at least two."""
    return tuple(season for season in seasons if 1 < season <= length // 2)


def profile(values: FloatArray, season: int) -> FloatArray:
    """Usual deviation at each phase [series, season]; the last column is the phase of the newest sample."""
    count = values.shape[1] // season
    blocks = values[:, values.shape[1] - count * season :].reshape(len(values), count, season)
    means = blocks.mean(axis=2)
    slope = (means[:, -1] - means[:, 0]) / ((count - 1) * season)
    ramp = slope[:, None] * (np.arange(season) - (season - 1) / 2)
    moves = blocks - means[:, :, None] - ramp[:, None, :]
    weight = FORGET ** np.arange(count - 1, -1, -1)
    weight /= weight.sum()
    usual = np.einsum("nks,k->ns", moves, weight)
    noise = np.einsum("nks,k->ns", (moves - usual[:, None, :]) ** 2, weight).mean(axis=1)
    signal = (usual**2).mean(axis=1)
    error = noise * (weight**2).sum() / (1.0 - (weight**2).sum())
    believed = np.maximum(0.0, 1.0 - error / np.where(signal > 0, signal, 1.0))
    return np.asarray(usual * believed[:, None])


def tiled(shape: FloatArray, length: int) -> FloatArray:
    """The profile over the newest ``length`` samples."""
    season = shape.shape[1]
    phase = (np.arange(length) - length) % season
    return np.asarray(shape[:, phase])


def ahead(shape: FloatArray, horizon: int) -> FloatArray:
    """The profile over the next ``horizon`` samples."""
    return np.asarray(shape[:, np.arange(horizon) % shape.shape[1]])


def take_apart(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> Shape:
    """Remove one season after the other, shortest first."""
    past, future = np.zeros_like(values), np.zeros((len(values), horizon))
    for season in usable(values.shape[1], seasons):
        shape = profile(values - past, season)
        past, future = past + tiled(shape, values.shape[1]), future + ahead(shape, horizon)
    return Shape(values - past, past, future)
