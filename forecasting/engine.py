"""One batch of histories through cleaning, back-test, combination and bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model import Backtest, Forecast, Matrix
from watchkeeper.model.series import FloatArray, IntArray

from . import intervals
from .backtest import MOST_ORIGINS, Trial, mean_of_known, try_out
from .base import LARGEST, QUANTILES, Bounds, future_times, seasons_of
from .candidates import Candidates
from .clean import fill_gaps, tame_spikes
from .combine import combined_errors, weights
from .shape import take_apart

NO_BACKTEST = Backtest(origins=0, mase=float("nan"), coverage80=float("nan"), better_than_last_value=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What to try and how; one kind of forecaster is one method."""

    name: str
    candidates: Candidates
    seasons: tuple[int, ...] = ()  #: in points; empty: from the distance of the samples
    min_history: int = 0  #: known samples needed; 0: two of the shortest season, at least 12
    most_history: int = 2016  #: newest samples used
    origins: int = MOST_ORIGINS


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """The answer for one batch of histories of one length."""

    bands: FloatArray  #: [series, quantile, step]
    backtests: list[Backtest]
    trend: FloatArray
    seasonal: FloatArray


def forecast(method: Method, matrix: Matrix, horizon: int, bounds: Bounds) -> list[Forecast]:
    """One forecast a series; a series with too little history is answered with the reason."""
    if horizon < 1:
        raise ValueError("horizon must be at least 1")
    usable = matrix.present & np.isfinite(matrix.values)
    values = np.where(usable, np.clip(np.nan_to_num(matrix.values), -LARGEST, LARGEST), np.nan)
    seasons = method.seasons or seasons_of(matrix.times)
    needed = method.min_history or max(12, 2 * seasons[0] if seasons else 0)
    known = np.count_nonzero(usable, axis=1)
    first = np.where(known > 0, usable.argmax(axis=1), matrix.values.shape[1]) if usable.shape[1] else known
    answers: dict[int, Forecast] = {
        row: _unknown(method, matrix, row, f"not enough history: {known[row]} of {needed} points")
        for row in np.flatnonzero(known < needed).tolist()
    }
    enough = np.flatnonzero(known >= needed)
    for start in np.unique(first[enough]).tolist():
        rows = enough[first[enough] == start]
        batch = values[rows][:, max(start, values.shape[1] - method.most_history) :]
        paths = run(method, batch, horizon, seasons, bounds.of(rows))
        answers |= dict(zip(rows.tolist(), _forecasts(method, matrix, rows, horizon, paths), strict=True))
    return [answers[row] for row in range(len(matrix.series))]


def run(method: Method, raw: FloatArray, horizon: int, seasons: tuple[int, ...], bounds: Bounds) -> Paths:
    """Histories that begin together, [series, time] with gaps, to quantile paths."""
    season = seasons[0] if seasons else 1
    cleaned = tame_spikes(fill_gaps(raw, season), season)
    trial = try_out(cleaned, raw, horizon, seasons, method.candidates, method.origins)
    paths = method.candidates(cleaned, horizon, seasons)
    parts = take_apart(cleaned, 1, seasons)
    if trial is None:
        path = bounds.clip(np.median(np.stack(list(paths.values())), axis=0))
        bands = intervals.without_backtest(path, cleaned, bounds)
        return Paths(bands, [NO_BACKTEST] * len(raw), parts.rest, parts.past)
    stacked = np.stack([paths[name] for name in trial.names])
    path = bounds.clip(np.einsum("cn,cns->ns", weights(trial), stacked))
    errors = combined_errors(trial)
    bands, coverage = intervals.from_errors(path, errors, bounds)
    return Paths(bands, _backtests(trial, errors, coverage, cleaned[:, -1]), parts.rest, parts.past)


def _backtests(trial: Trial, errors: FloatArray, coverage: FloatArray, level: FloatArray) -> list[Backtest]:
    own, naive, last = (mean_of_known(np.abs(each), axis=(0, 2)) for each in (errors, trial.naive, trial.last))
    rounding = 1e-9 * np.abs(level)
    both_zero = (own <= rounding) & (naive <= rounding)
    relative = np.where(both_zero, 1.0, np.where(naive > rounding, own / np.where(naive > 0, naive, 1.0), np.nan))
    return [
        Backtest(
            origins=trial.origins,
            mase=float(relative[row]),
            coverage80=float(coverage[row]),
            better_than_last_value=bool(own[row] < last[row] - rounding[row]),
        )
        for row in range(len(own))
    ]


def _forecasts(method: Method, matrix: Matrix, rows: IntArray, horizon: int, paths: Paths) -> list[Forecast]:
    times = future_times(matrix.times, horizon)
    return [
        Forecast(
            series=matrix.series[row],
            issued_ms=int(matrix.times[-1]),
            times=times,
            quantiles={quantile: paths.bands[at, place] for place, quantile in enumerate(QUANTILES)},
            method=method.name,
            backtest=paths.backtests[at],
            components={"trend": paths.trend[at], "seasonal": paths.seasonal[at]},
        )
        for at, row in enumerate(rows.tolist())
    ]


def _unknown(method: Method, matrix: Matrix, row: int, why: str) -> Forecast:
    return Forecast(
        series=matrix.series[row],
        issued_ms=int(matrix.times[-1]) if len(matrix.times) else 0,
        times=np.zeros(0, dtype=np.int64),
        quantiles={},
        method=method.name,
        backtest=NO_BACKTEST,
        unknown=why,
    )
