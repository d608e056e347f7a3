"""Key figures as series, so that rules, charts and objectives speak of them in PromQL like of anything else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from analytics.business import Status, change
from analytics.business_periods import next_start
from watchkeeper.clock import to_ms
from watchkeeper.model import STALE_NAN, Layout, Tick, labels

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.business import Judged
    from watchkeeper.config.business import Kpi


def identity(kpi: Kpi) -> dict[str, str]:
    """Labels of every series of a figure."""
    return {
        "kpi": kpi.name, "period": kpi.period, "unit": kpi.unit, "direction": kpi.direction, "role": kpi.role,
    }  # fmt: skip


def ticks(one: Judged, now: datetime, layouts: dict[str, Layout]) -> list[Tick]:
    """What is known of a figure now. What is not known is stale, never a number of yesterday.

    ``layouts`` holds the layout of each figure: one that stays the same object is cheap to store.
    """
    found = _readings(one, now)
    state = _tick(f"kpi-state/{one.kpi.name}", one.kpi, found[1:], now, layouts)
    if not one.rows:
        return [state]  # the history of a figure that was never read comes before its first sample
    return [_tick(f"kpi/{one.kpi.name}", one.kpi, found[:1], now, layouts), state]


#: End of the metric's name, labels of its own, value.
Reading = tuple[str, dict[str, str], Decimal | float | None]


def _tick(target: str, kpi: Kpi, found: Sequence[Reading], now: datetime, layouts: dict[str, Layout]) -> Tick:
    own = identity(kpi)
    series = tuple(labels(f"watchkeeper_kpi{name}", {**own, **more}) for name, more, _ in found)
    values = np.array([STALE_NAN if value is None else float(value) for _, _, value in found], dtype=np.float64)
    if target not in layouts or layouts[target].series != series:
        layouts[target] = Layout(series)
    return Tick(target=target, time_ms=to_ms(now), layout=layouts[target], values=values)


def _readings(one: Judged, now: datetime) -> list[Reading]:
    fails = bool(one.error)
    value = one.last.value if one.last is not None and not fails else None
    low, high = one.goal.edges
    age = None if one.read_at is None else (now - one.read_at).total_seconds()
    return [
        ("", {}, value),
        ("_unfinished", {}, one.current.value if one.current is not None and not fails else None),
        ("_target", {"edge": "low"}, low),
        ("_target", {"edge": "high"}, high),
        ("_expected", {}, one.usual.expected),
        ("_expected_lower", {}, one.usual.lower),
        ("_expected_upper", {}, one.usual.upper),
        ("_anomaly_score", {}, None if fails else one.usual.score),
        *(("_reference", {"against": name}, reference) for name, reference in one.references.items()),
        *(("_change_ratio", {"against": name}, change(value, reference)) for name, reference in one.references.items()),
        *(("_status", {"status": status.value}, float(one.verdict.status == status)) for status in Status),
        ("_source_up", {}, float(not fails)),
        ("_age_seconds", {}, age),
    ]


def history(one: Judged, since: datetime, zone: ZoneInfo) -> list[Tick]:
    """Periods that are over as samples at their ends, oldest first."""
    layout = Layout((labels("watchkeeper_kpi", identity(one.kpi)),))
    newest = one.last.start if one.last is not None else since
    found = []
    for row in one.rows:
        end = next_start(one.kpi.period, row.start, zone)
        if row.value is not None and end > since and row.start <= newest:
            values = np.array([float(row.value)])
            found.append(Tick(target=f"kpi/{one.kpi.name}", time_ms=to_ms(end), layout=layout, values=values))
    return found
