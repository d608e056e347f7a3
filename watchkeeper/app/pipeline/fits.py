"""What a worker process does for a forecast. Imported there; nothing of the engine is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def fit(kind: str, options: Mapping[str, Any], matrix: Matrix, horizon: int, limits: Sequence[float]) -> list[Fit]:
    """Forecast a batch with one kind of forecaster; ``limits`` has one for each series, NaN for none."""
    from forecasting import BUILTIN, exhaustion
    from watchkeeper.registry import Registry

    found = Registry("forecasting", BUILTIN).build(kind, options, key="forecasting.options")
    answers = found.forecast(matrix, horizon)
    return [_fit(one, exhaustion(one, limit)) for one, limit in zip(answers, limits, strict=True)]


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
