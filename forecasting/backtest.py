"""Rolling origins: what the same candidates would have said on the recent past of the same series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import FloatArray

from .candidates import Candidates, last_value, repeat_season

#: Origins tried at most.
MOST_ORIGINS = 6
#: Fewest samples a candidate gets to learn from.
LEAST_TRAINING = 8
#: Weight of an origin against the next newer one.
FORGET = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Errors (forecast minus actual) at each origin, newest origin first; NaN where the actual is a gap."""

    names: tuple[str, ...]
    errors: FloatArray  #: [candidate, origin, series, step]
    naive: FloatArray  #: the same of seasonal naive [origin, series, step]
    last: FloatArray  #: the same of the last value

    @property
    def origins(self) -> int:
        return int(self.errors.shape[1])


def plan(length: int, horizon: int, season: int, most: int = MOST_ORIGINS) -> tuple[int, list[int]]:
    """(steps judged, samples hidden at each origin); no origin where the history is too short."""
    training = max(2 * season + 1 if length > 3 * season else season + 1, LEAST_TRAINING, length // 3)
    steps = min(horizon, max(1, (length - training) // 2), length - training)
    if steps < 1:
        return 0, []
    room = length - training - steps
    stride = max(1, min(steps, room // max(most - 1, 1)))
    return steps, [steps + index * stride for index in range(min(most, room // stride + 1))]


def try_out(
    cleaned: FloatArray, raw: FloatArray, horizon: int, seasons: tuple[int, ...], candidates: Candidates, most: int
) -> Trial | None:
    """Every candidate at every origin. None: too little history for any back-test."""
    length, season = cleaned.shape[1], seasons[0] if seasons else 1
    steps, hidden = plan(length, horizon, season, most)
    if not hidden:
        return None
    names: tuple[str, ...] | None = None
    errors, naive, last = [], [], []
    for back in hidden:
        past, actual = cleaned[:, : length - back], cleaned[:, length - back :][:, :steps]
        actual = np.where(np.isnan(raw[:, length - back :][:, :steps]), np.nan, actual)
        paths = candidates(past, steps, seasons)
        names = tuple(paths) if names is None else tuple(name for name in names if name in paths)
        errors.append({name: path - actual for name, path in paths.items()})
        naive.append(repeat_season(past, steps, season) - actual)
        last.append(last_value(past, steps) - actual)
    names = names or ()
    stacked = np.stack([np.stack([origin[name] for origin in errors]) for name in names])
    return Trial(names, stacked, np.stack(naive), np.stack(last))


def mean_of_known(values: FloatArray, axis: tuple[int, ...]) -> FloatArray:
    """Mean over the known entries; NaN, without a warning, where there is none."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=axis), known.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def origin_weights(count: int) -> FloatArray:
    """Newer origins count more."""
    weight = FORGET ** np.arange(count, dtype=np.float64)
    return np.asarray(weight / weight.sum())
