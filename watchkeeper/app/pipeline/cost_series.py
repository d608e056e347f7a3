"""Cost as series, so that rules, charts and objectives speak of money in PromQL like of anything else."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING

import numpy as np

from analytics.cost import DAY, days_between, sums
from watchkeeper.clock import to_ms
from watchkeeper.model import STALE_NAN, Labels, Layout, Tick, labels

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.cost import Costing

Readings = list[tuple[Labels, float | None]]


def ticks(costing: Costing, now: datetime, layouts: dict[str, Layout]) -> list[Tick]:
    """What is known now. What is not known is stale, never a number of yesterday."""
    found = {"cost": _costs(costing, now), "cost-budget": _budgets(costing, now), "cost-source": _sources(costing, now)}
    return [_tick(target, readings, now, layouts) for target, readings in found.items() if readings]


def _tick(target: str, readings: Readings, now: datetime, layouts: dict[str, Layout]) -> Tick:
    series = tuple(name for name, _ in readings)
    if target not in layouts or layouts[target].series != series:
        layouts[target] = Layout(series)
    values = np.array([STALE_NAN if value is None else value for _, value in readings], dtype=np.float64)
    return Tick(target=target, time_ms=to_ms(now), layout=layouts[target], values=values)


def _costs(costing: Costing, now: datetime) -> Readings:
    """The newest day that is billed and over, by service; the month so far and its end by currency."""
    today = costing.today(now)
    through = costing.through(today)
    if through is None:
        return []
    day = min(through, today - DAY)
    by = sums(costing.rows(day, day), lambda row: (row.service, row.currency), costing.basis)
    found: Readings = [
        (labels("watchkeeper_cost", service=service, currency=currency), float(value))
        for (service, currency), value in sorted(by.items())
    ]
    month = sums(costing.rows(today.replace(day=1), today), lambda row: row.currency, costing.basis)
    for currency in costing.currencies():
        ahead = costing.ahead.get(f"currency/{currency}")
        expected = None if ahead is None or ahead.expected is None else float(ahead.expected)
        so_far = float(month[currency]) if currency in month else None
        found.append((labels("watchkeeper_cost_month_to_date", currency=currency), so_far))
        found.append((labels("watchkeeper_cost_month_forecast", currency=currency), expected))
    newest = {(one.service, one.currency): one.score for one in costing.anomalies if one.day == day}
    for service, currency in sorted(by):
        score = newest.get((service, currency), 0.0)
        if (service, currency) in newest:
            found.append((labels("watchkeeper_cost_anomaly_score", service=service, currency=currency), score))
    return found


def _budgets(costing: Costing, now: datetime) -> Readings:
    found: Readings = []
    for budget, one in costing.standings(now):
        own = {"budget": budget.name, "currency": budget.currency, "period": budget.period}
        ahead = float(one.forecast / one.amount) if one.forecast is not None and one.amount else None
        found += [
            (labels("watchkeeper_budget_used_ratio", own), one.used_ratio),
            (labels("watchkeeper_budget_forecast_ratio", own), ahead),
            (labels("watchkeeper_budget_line_ratio", {**own, "line": "warn"}), float(budget.warn)),
            (labels("watchkeeper_budget_line_ratio", {**own, "line": "breach"}), float(budget.breach)),
        ]
    return found


def _sources(costing: Costing, now: datetime) -> Readings:
    today = costing.today(now)
    newest = costing.source_through(today)
    found: Readings = []
    for source in costing.section.sources:
        own = [one for one in costing.files if one.source == source.name]
        fails = [key for key in costing.importer.errors if key[0] == source.name]
        through = newest.get(source.name)
        age = None if through is None else max((today - through).days - 1, 0) * 86_400.0
        found += [
            (labels("watchkeeper_cost_source_up", source=source.name), float(not fails)),
            (labels("watchkeeper_cost_bad_rows", source=source.name), float(sum(one.bad_rows for one in own))),
            (labels("watchkeeper_cost_age_seconds", source=source.name), age),
        ]
    return found


def history(costing: Costing, since: datetime, now: datetime) -> list[Tick]:
    """Days that are over as samples at their ends, oldest first, so that charts have a history on day one."""
    zone, today = costing.engine.config.zone, costing.today(now)
    through = costing.through(today)
    if through is None:
        return []
    found, layouts = [], dict[str, Layout]()
    for day in days_between(since.astimezone(zone).date(), min(through, today - DAY)):
        end = datetime.combine(day + DAY, time(), zone)
        by = sums(costing.rows(day, day), lambda row: (row.service, row.currency), costing.basis)
        readings: Readings = [
            (labels("watchkeeper_cost", service=service, currency=currency), float(value))
            for (service, currency), value in sorted(by.items())
        ]
        if readings and end > since:
            found.append(_tick("cost", readings, end, layouts))
    return found
