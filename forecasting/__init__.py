"""How series will go on, with quantiles and the back-test that says how far to believe them. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import QUANTILES
from .combined import Combined
from .drift import Drift
from .ets import Ets
from .exhaustion import exhaustion
from .profile import Profile
from .seasonal_naive import SeasonalNaive
from .theta import Theta

#: Kind -> class. statsmodels is imported only when ``ets`` fits a series.
BUILTIN: Mapping[str, type[Any]] = {
    "combined": Combined,
    "drift": Drift,
    "ets": Ets,
    "profile": Profile,
    "seasonal_naive": SeasonalNaive,
    "theta": Theta,
}

__all__ = ["BUILTIN", "QUANTILES", "exhaustion"]
