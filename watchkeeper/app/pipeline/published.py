"""Series that are published as a whole: what is gone since the last time ends now, not five minutes later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from watchkeeper.clock import to_ms
from watchkeeper.model import STALE_NAN, Labels, Layout, Tick

Row = tuple[Labels, float]


@dataclass(slots=True, eq=False)
class Published:
    """Everything of one target. A layout that stays the same object is cheap to store."""

    target: str
    _layout: Layout = field(default_factory=lambda: Layout(()))

    def __len__(self) -> int:
        return len(self._layout)

    def tick(self, rows: Sequence[Row], now: datetime) -> Tick:
        """Every series of this time, without those that are not known, and the end of those that are gone."""
        known = [(series, value) for series, value in rows if not math.isnan(value)]
        current = {series for series, _ in known}
        ended = [series for series in self._layout.series if series not in current]
        series = tuple(one for one, _ in known)
        if series != self._layout.series:
            self._layout = Layout(series)
        layout = Layout((*series, *ended)) if ended else self._layout
        values = np.array([value for _, value in known] + [STALE_NAN] * len(ended), dtype=np.float64)
        return Tick(target=self.target, time_ms=to_ms(now), layout=layout, values=values)
