"""Rows of the capacity page and report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustion:
    """When a limit is reached: by upper edge, expected path and lower edge. None: not within the horizon."""

    earliest: datetime | None
    expected: datetime | None
    latest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRow:
    pool: str
    resource: str
    unit: str
    now: float  #: NaN when unknown
    limit: float  #: NaN when none is declared
    in_7d: float
    in_30d: float
    in_90d: float
    exhaustion: Exhaustion
    backtest_mase: float  #: NaN when no back-test was possible
    proposal: str  #: message key, see dashboard/locales
    data_age_seconds: float
    unknown: str = ""  #: why figures are missing
