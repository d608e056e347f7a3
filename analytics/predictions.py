"""How good forecasts turned out to be: each one made, against what came, beside a naive forecast. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

NAN = float("nan")
#: Scored periods below which a figure is shown as "too few to judge".
LEAST_SCORED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One period of one forecast, as it was made."""

    made_at: datetime
    target: datetime  #: the period that was forecast
    step: int  #: how many periods ahead, 1 is the next
    quantiles: Mapping[str, float]  #: "0.025", "0.1", "0.5", "0.9", "0.975"
    naive: float  #: what the same period of the season before would have said; NaN when unknown
    scale: float  #: mean absolute error of that naive forecast on the history at hand; NaN when unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Figures over all scored periods; NaN where nothing can be said."""

    scored: int
    coverage80: float  #: share of actuals inside the 80 % interval; 0.8 is right, more is too wide
    coverage95: float
    mape: float  #: mean absolute error as a share of the actual, over periods whose actual is not 0
    mase: float  #: mean absolute error in units of the naive forecast's error on the history (Hyndman, 2006)
    against_naive: float  #: mean absolute error over that of the naive forecast for the same periods; < 1 is better
    bias: float  #: mean of (forecast - actual) over mean of actuals: above 0 promised too much


NOTHING = Accuracy(scored=0, coverage80=NAN, coverage95=NAN, mape=NAN, mase=NAN, against_naive=NAN, bias=NAN)


def accuracy(made: Iterable[Made], actuals: Mapping[datetime, float]) -> Accuracy:
    """Every forecast whose period is over and known."""
    scored = [(one, actuals[one.target]) for one in made if np.isfinite(actuals.get(one.target, NAN))]
    if not scored:
        return NOTHING
    actual = np.array([value for _, value in scored])
    middle = np.array([one.quantiles["0.5"] for one, _ in scored])
    error = np.abs(middle - actual)
    naive = np.abs(np.array([one.naive for one, _ in scored]) - actual)
    scale = np.array([one.scale for one, _ in scored])
    nonzero, scaled, both = actual != 0, np.isfinite(scale) & (scale > 0), np.isfinite(naive)
    return Accuracy(
        scored=len(scored),
        coverage80=_inside(scored, "0.1", "0.9"),
        coverage95=_inside(scored, "0.025", "0.975"),
        mape=_mean(error[nonzero] / np.abs(actual[nonzero])),
        mase=_mean(error[scaled] / scale[scaled]),
        against_naive=_over(_mean(error[both]), _mean(naive[both])),
        bias=_over(_mean(middle - actual), abs(_mean(actual))),
    )


def _inside(scored: Sequence[tuple[Made, float]], low: str, high: str) -> float:
    return _mean(np.array([one.quantiles[low] <= actual <= one.quantiles[high] for one, actual in scored], dtype=float))


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(values.mean()) if len(values) else NAN


def _over(above: float, below: float) -> float:
    return above / below if below and np.isfinite(below) else NAN


def season_of(period: str) -> int:
    """Periods after which people repeat themselves: the week for hours and days, the year for weeks and months."""
    return {"hour": 168, "day": 7, "week": 52, "month": 12}[period]


def naive_path(history: Sequence[float], steps: int, season: int) -> list[float]:
    """The newest season again and again; the last value where there is not a whole one."""
    if not len(history):
        return [NAN] * steps
    if len(history) < season:
        return [history[-1]] * steps
    newest = history[len(history) - season :]
    return [newest[step % season] for step in range(steps)]


def naive_scale(history: Sequence[float], season: int) -> float:
    """Mean absolute difference to the season before; to the period before where there is no whole season."""
    values = np.asarray(history, dtype=float)
    lag = season if len(values) > season else 1
    if len(values) <= lag:
        return NAN
    differences = np.abs(values[lag:] - values[:-lag])
    known = differences[np.isfinite(differences)]
    return float(known.mean()) if len(known) else NAN
