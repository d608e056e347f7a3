"""What a worker process does for a forecast. Imported there; nothing of the engine is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchkeeper.model import Exhaustion, Forecast, Matrix


@dataclass(frozen=True, slots=True)
class Fit:
    """One forecast with its parts as JSON can hold them."""

    forecast: Forecast
    unknown: str
    method: str
    backtest: dict[str, Any]
    quantiles: dict[str, list[float]]
    components: Mapping[str, Sequence[float]]
    exhaustion: Exhaustion

    def drawn(self, most: int, names: Sequence[str]) -> list[list[float]]:
        """[[ms, quantile, ...], ...] of at most ``most`` points."""
        if self.unknown:
            return []
        times = self.forecast.times.tolist()
        step = max(len(times) // most, 1)
        paths = [self.quantiles[name] for name in names]
        return [[times[index], *(path[index] for path in paths)] for index in range(0, len(times), step)]


def fit(
    kind: str,
    options: Mapping[str, Any],
    matrix: Matrix,
    horizon: int,
    limits: Sequence[float],
    *,
    explained: bool = False,
) -> list[Fit]:
    """Forecast a batch with one kind of forecaster; ``limits`` has one for each series, NaN for none.

    ``explained`` is for the few series a person looks at: statsmodels' STL and ETS are tried beside, the better
    back-test wins, and the decomposition comes along.
    """
    from forecasting import BUILTIN, exhaustion
    from watchkeeper.registry import Registry

    found = Registry("forecasting", BUILTIN).build(kind, options, key="forecasting.options")
    answers = found.forecast(matrix, horizon)
    if explained and kind != "ets" and any(not one.unknown for one in answers):
        bounds = {name: options[name] for name in ("lower", "upper") if name in options}
        other = BUILTIN["ets"](**bounds).forecast(matrix, horizon)
        answers = [_better(one, beside) for one, beside in zip(answers, other, strict=True)]
    return [_fit(one, exhaustion(one, limit)) for one, limit in zip(answers, limits, strict=True)]


def _better(one: Forecast, beside: Forecast) -> Forecast:
    """The one with the smaller back-test error, with the decomposition of the second."""
    if one.unknown or beside.unknown:
        return beside if one.unknown and not beside.unknown else one
    chosen = beside if beside.backtest.mase < one.backtest.mase else one
    return replace(chosen, components=beside.components)


def _fit(one: Forecast, exhausted: Exhaustion) -> Fit:
    mase = one.backtest.mase
    coverage = one.backtest.coverage80
    return Fit(
        forecast=one,
        unknown=one.unknown,
        method=one.method,
        backtest={
            "origins": one.backtest.origins,
            "mase": mase if math.isfinite(mase) else None,
            "coverage80": coverage if math.isfinite(coverage) else None,
            "better_than_last_value": one.backtest.better_than_last_value,
        },
        quantiles={f"{quantile:g}": path.tolist() for quantile, path in one.quantiles.items()},
        components={name: path.tolist() for name, path in one.components.items()},
        exhaustion=exhausted,
    )
