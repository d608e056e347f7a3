"""How rare a residual is, by the series' own past: a running high quantile and the mean excess over it.

Rarity is counted in decimal orders: 2 is one point in a hundred. Below the quantile it grows linearly to the
quantile's own rarity; beyond it follows a generalised Pareto tail (Siffer et al., 2017, "SPOT", with a fixed shape),
so that a residual ten times larger is rarer, but not absurdly so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import HALF_RARITY, Array, State, blank

#: Share of the points beyond the running quantile.
TAIL = 0.02
#: Rarity of the quantile itself.
KNEE = float(-np.log10(TAIL))
#: One excess counts at most this many mean excesses when the tail is learned.
MOST_EXCESS = 4.0


@dataclass(frozen=True, slots=True)
class Tail:
    """Constants of one kind of residual. ``shape`` 0 is an exponential tail."""

    quantile: float  #: prior of the quantile
    excess: float  #: prior of the mean excess
    least_quantile: float  #: a quieter past does not make smaller residuals rare
    least_excess: float
    shape: float = 0.2  #: of the Pareto tail; metric residuals are heavier than normal
    gain: float = 0.05  #: share of one excess in the mean excess
    prefix: str = "tail"  #: of the row names

    def start_rows(self, count: int, channels: int) -> dict[str, Array]:
        return {f"{self.prefix}_quantile": blank(count, channels), f"{self.prefix}_excess": blank(count, channels)}

    def rarity(self, state: State, residual: Array, seen: Array) -> Array:
        """Rarity of the residuals [series, channel], judged before they are learned; NaN stays NaN."""
        quantile, excess = self._current(state)
        over = residual - quantile
        rarity = np.where(over > 0, self._beyond(over / excess), KNEE * residual / quantile)
        self._learn(state, over, quantile, excess, seen)
        return rarity

    def half(self, state: State) -> Array:
        """The residual that would earn a score of 0.5 now."""
        quantile, excess = self._current(state)
        orders = HALF_RARITY - KNEE
        if self.shape == 0.0:
            return quantile + excess * np.float32(orders * np.log(10.0))
        grown = (10.0 ** (orders * self.shape) - 1.0) * (1.0 - self.shape) / self.shape
        return quantile + excess * np.float32(grown)

    def _current(self, state: State) -> tuple[Array, Array]:
        quantile, excess = state.rows[f"{self.prefix}_quantile"], state.rows[f"{self.prefix}_excess"]
        return (
            np.where(np.isnan(quantile), np.float32(self.quantile), quantile),
            np.where(np.isnan(excess), np.float32(self.excess), excess),
        )

    def _beyond(self, units: Array) -> Array:
        if self.shape == 0.0:
            return KNEE + units / np.float32(np.log(10.0))
        stretched = np.float32(self.shape / (1.0 - self.shape)) * np.maximum(units, np.float32(0))
        return KNEE + np.log10(1 + stretched) / np.float32(self.shape)

    def _learn(self, state: State, over: Array, quantile: Array, excess: Array, seen: Array) -> None:
        known, above = ~np.isnan(over), over > 0
        pace = np.clip(10.0 / (seen + 1.0), 0.1, 0.5).astype(np.float32)
        pull = np.where(above, np.float32(1.0 - TAIL), np.float32(-TAIL))
        quantile = np.where(known, quantile + pace * excess * pull, quantile)
        larger = np.minimum(over, MOST_EXCESS * excess) - excess
        excess = np.where(above, excess + np.float32(self.gain) * larger, excess)
        state.rows[f"{self.prefix}_quantile"] = np.maximum(quantile, np.float32(self.least_quantile))
        state.rows[f"{self.prefix}_excess"] = np.maximum(excess, np.float32(self.least_excess))


#: Residuals in units of a mean absolute deviation: 2.9 and 0.45 for normal noise.
RATIO_TAIL = Tail(quantile=3.2, excess=0.7, least_quantile=2.0, least_excess=0.4)
