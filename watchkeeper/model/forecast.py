"""What a forecaster answers, with the back-test that says how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchkeeper.model.series import FloatArray, IntArray, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """How the same method did on the recent past of the same series."""

    origins: int  #: rolling origins tried; 0 means no back-test was possible
    mase: float  #: mean absolute scaled error against seasonal naive (1.0 = no better); NaN when unknown
    coverage80: float  #: share of actuals inside the 80 % band, 0..1; NaN when unknown
    better_than_last_value: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Quantile paths of one series. ``quantiles[0.5]`` is the expected path."""

    series: Labels
    issued_ms: int
    times: IntArray  #: shape [horizon], milliseconds
    quantiles: Mapping[float, FloatArray]  #: 0.025, 0.1, 0.5, 0.9, 0.975 -> shape [horizon], never crossing
    method: str
    backtest: Backtest
    components: Mapping[str, FloatArray] = field(
        default_factory=dict
    )  #: trend, seasonal ... over the history, if known
    unknown: str = ""  #: why there is no forecast ("not enough history: 12 of 48 points"); quantiles empty then
