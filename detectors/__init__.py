"""How unusual each sample is: streaming detectors over many series at once. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import episodes, groups, natures
from .alarm import Budget
from .base import State, align, state_from_arrays, state_to_arrays
from .ensemble import Ensemble
from .ewma import Ewma
from .findings import Finding, finding
from .isolation_forest import IsolationForest
from .rate_of_change import RateOfChange
from .robust_zscore import RobustZScore
from .seasonal import Seasonal
from .stl_residual import StlResidual

#: Kind -> class. scikit-learn and statsmodels are imported only when one is fitted that needs them.
BUILTIN: Mapping[str, type[Any]] = {
    "ensemble": Ensemble,
    "ewma": Ewma,
    "isolation_forest": IsolationForest,
    "rate_of_change": RateOfChange,
    "robust_zscore": RobustZScore,
    "seasonal": Seasonal,
    "stl_residual": StlResidual,
}

__all__ = [
    "BUILTIN", "Budget", "Finding", "State", "align", "episodes", "finding", "groups", "natures", "state_from_arrays",
    "state_to_arrays",
]  # fmt: skip
