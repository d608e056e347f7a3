"""What it costs: month to date, its end, budgets, what changed and how old the bills are; and the report of it.

Amounts are decimal text, to the last digit; chart values are numbers for drawing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel

from analytics import cost as arithmetic
from analytics.cost import DAY, days_between, month_before, month_of, tag_value
from analytics.cost_budget import Part, Standing, reconcile
from analytics.cost_drivers import drivers
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.cost import Costing
from watchkeeper.app.pipeline.cost_ahead import Ahead
from watchkeeper.app.pipeline.cost_read import superseded
from watchkeeper.config.cost import Budget
from watchkeeper.model import DayCharge

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Services with a colour of their own in the chart; the rest is one.
DRAWN = 7
#: Rows of each list of drivers.
MOST_DRIVERS = 20


@router.get("/cost")
def cost(request: Request, month: str = "", tag: str = "") -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    return cost_body(engine, engine.clock.now(), month=_month(month), tag=tag)


class Wanted(BaseModel):
    language: Literal["zh-CN", "en"] = "zh-CN"
    month: str = ""
    tag: str = ""


@router.post("/reports/cost", status_code=201)
def make_report(
    request: Request, body: Wanted, caller: Annotated[Principal, Depends(needs(Permission.REPORT))]
) -> dict[str, Any]:
    """The month as it stands, archived as HTML and CSV."""
    from dashboard.reports.cost import cost_csv, cost_html

    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    data = cost_body(engine, now, month=_month(body.month), tag=body.tag)
    files = [make(data, body.language, engine.config.time_zone, now) for make in (cost_html, cost_csv)]
    with engine.state.begin() as unit:
        report_id = unit.documents.add_report("cost", body.language, files[0], files[1], at=now)
        unit.audit.append(caller.name, "report", report_id, {"kind": "cost"}, at=now)
    return {"id": report_id}


def _month(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise HTTPException(400, "month is written like 2026-03") from None


def cost_body(engine: Engine, now: datetime, *, month: date | None = None, tag: str = "") -> dict[str, Any]:
    """``month``: none is the month under way, or the newest with charges when that has none."""
    costing, today = engine.costing, engine.costing.today(now)
    months = costing.months(today)
    shown = month or next(iter(months), today.replace(day=1))
    first, last = month_of(shown)
    rows = costing.rows(first, min(last, today))
    through = max((row.day for row in rows), default=None)
    before = _same_days(costing, first, through, last)
    names = arithmetic.tag_names(rows)
    tag = tag if tag in names else _usual_tag(rows)
    totals = _totals(costing, rows, before, current=shown == today.replace(day=1))
    return {
        "now": shapes.moment(now), "time_zone": engine.config.time_zone, "enabled": engine.config.cost.enabled,
        "configured": bool(engine.config.cost.sources or engine.config.cost.hosts), "basis": costing.basis,
        "read_at": shapes.moment(costing.read_at), "month": f"{shown:%Y-%m}", "current": shown == today.replace(day=1),
        "months": [f"{each:%Y-%m}" for each in months], "through": None if through is None else through.isoformat(),
        "totals": totals, "converted": _converted(costing, rows),
        "days": [_drawn(costing, rows, name, first, through) for name in [each["currency"] for each in totals]],
        "services": _table(costing, rows, before, lambda row: row.service),
        "categories": _table(costing, rows, before, lambda row: row.category),
        "tag": tag, "tags": names,
        "by_tag": _table(costing, rows, before, lambda row: tag_value(row, tag)) if tag else [],
        "drivers": _drivers(costing, rows, before, tag),
        "budgets": [_budget(costing, budget, one) for budget, one in costing.standings(now)],
        "reconciliation": _reconciled(costing), "sources": _sources(costing, today),
        "anomalies": [{**asdict(one), "day": one.day.isoformat()} for one in costing.anomalies],
    }  # fmt: skip


def text(value: Decimal | None) -> str | None:
    """A decimal without exponent, to the last digit that says anything."""
    if value is None:
        return None
    found = format(value, "f")
    whole, _, parts = found.partition(".")
    parts = parts.rstrip("0")
    return f"{whole}.{parts:0<2}"


def _usual_tag(rows: Sequence[DayCharge]) -> str:
    """The tag that most charges have."""
    counts = Counter(name for row in rows for name, _ in row.tags)
    return min(counts, key=lambda name: (-counts[name], name), default="")


def _same_days(costing: Costing, first: date, through: date | None, last: date) -> list[DayCharge]:
    """The same days of the month before; all of it beside a whole month."""
    if through is None:
        return []
    start, end = month_of(month_before(first))
    return costing.rows(start, end if through == last else min(end, start + (through - first)))


def _totals(
    costing: Costing, rows: Sequence[DayCharge], before: Sequence[DayCharge], *, current: bool
) -> list[dict[str, Any]]:
    now, then = (arithmetic.sums(each, lambda row: row.currency, costing.basis) for each in (rows, before))
    found = []
    for name in sorted({*now, *then}):
        ahead = costing.ahead.get(f"currency/{name}") if current else None
        found.append({
            "currency": name, "cost": text(now.get(name, Decimal(0))), "before": text(then.get(name)),
            "change": _change(now.get(name, Decimal(0)), then.get(name)),
            "forecast": None if ahead is None else _ahead(ahead),
        })  # fmt: skip
    return found


def _change(now: Decimal, then: Decimal | None) -> float | None:
    return None if then is None or then <= 0 else float(now / then - 1)


def _ahead(one: Ahead) -> dict[str, Any]:
    return {
        "expected": text(one.expected), "low80": text(one.low), "high80": text(one.high), "method": one.method,
        "unknown": one.unknown, "known": text(one.known), "through": one.through.isoformat() if one.through else None,
        "last": one.last.isoformat(), "days_known": one.days_known, "days_left": one.days_left,
    }  # fmt: skip


def _converted(costing: Costing, rows: Sequence[DayCharge]) -> dict[str, Any] | None:
    """Everything in one currency; only where there is more than one, and only by the rates of the configuration."""
    totals = arithmetic.sums(rows, lambda row: row.currency, costing.basis)
    if set(totals) <= {costing.section.currency} or (len(totals) == 1 and not costing.section.rates):
        return None
    whole, missing = costing.convert(totals, costing.section.currency)
    rates = {name: text(rate) for name, rate in costing.section.rates.items() if name in totals}
    return {"currency": costing.section.currency, "cost": text(whole), "missing": missing, "rates": rates}


def _drawn(
    costing: Costing, rows: Sequence[DayCharge], currency: str, first: date, through: date | None
) -> dict[str, Any]:
    """Cost by day of the services that cost most; the others are one, named by nothing."""
    days = [] if through is None else list(days_between(first, through))
    own = [row for row in rows if row.currency == currency]
    whole = arithmetic.sums(own, lambda row: row.service, costing.basis)
    top = sorted(whole, key=lambda name: (-abs(whole[name]), name))[:DRAWN]
    by = arithmetic.sums(own, lambda row: (row.service if row.service in top else "", row.day), costing.basis)
    names = [*top, *([""] if len(whole) > DRAWN else [])]
    series = [{"name": name, "values": [float(by.get((name, day), 0)) for day in days]} for name in names]
    return {"currency": currency, "days": [day.isoformat() for day in days], "series": series}


def _table(
    costing: Costing, rows: Sequence[DayCharge], before: Sequence[DayCharge], key: Callable[[DayCharge], str]
) -> list[dict[str, Any]]:
    now, then = (arithmetic.sums(each, lambda row: (row.currency, key(row)), costing.basis) for each in (rows, before))
    wholes = arithmetic.sums(rows, lambda row: row.currency, costing.basis)
    return [
        {
            "name": name, "currency": currency, "cost": text(value), "before": text(then.get((currency, name))),
            "change": _change(value, then.get((currency, name))),
            "share": float(value / wholes[currency]) if wholes[currency] > 0 else None,
        }
        for (currency, name), value in sorted(now.items(), key=lambda each: (each[0][0], -each[1], each[0][1]))
    ]  # fmt: skip


def _drivers(
    costing: Costing, rows: Sequence[DayCharge], before: Sequence[DayCharge], tag: str
) -> dict[str, list[dict[str, Any]]]:
    """Nothing to compare with is no change: without a month before there are no drivers."""
    if not before:
        return {"service": [], "sku": [], "tag": []}
    keys: dict[str, Callable[[DayCharge], str]] = {
        "service": lambda row: row.service,
        "sku": lambda row: f"{row.service} · {row.sku}" if row.sku else row.service,
    }
    if tag:
        keys["tag"] = lambda row: tag_value(row, tag)
    found = {}
    for name, key in keys.items():
        found[name] = [
            {
                "name": one.name, "currency": one.currency, "before": text(one.before), "after": text(one.after),
                "change": text(one.change), "kind": one.kind, "quantity_effect": text(one.quantity_effect),
                "price_effect": text(one.price_effect),
            }
            for one in drivers(before, rows, key, costing.basis)[:MOST_DRIVERS]
        ]  # fmt: skip
    return {"tag": [], **found}


def _budget(costing: Costing, budget: Budget, one: Standing) -> dict[str, Any]:
    ahead = costing.ahead.get(f"budget/{budget.name}")
    return {
        "name": budget.name, "title": budget.title or budget.name, "owner": budget.owner, "currency": budget.currency,
        "period": budget.period, "first": one.first.isoformat(), "last": one.last.isoformat(),
        "amount": text(one.amount), "used": text(one.used), "used_ratio": one.used_ratio, "status": one.status.value,
        "reason": one.reason, "missing_rates": list(one.missing_rates), "warn_at": text(one.warn_at),
        "breach_at": text(one.breach_at), "forecast": text(one.forecast),
        "forecast_status": one.forecast_status.value, "method": "" if ahead is None else ahead.method,
        "service": budget.service, "tags": budget.tags, "part_of": budget.part_of,
    }  # fmt: skip


def _reconciled(costing: Costing) -> list[dict[str, Any]]:
    parts = [Part(name=each.name, amount=each.amount, currency=each.currency, period=each.period, part_of=each.part_of)
             for each in costing.section.budgets]  # fmt: skip
    return [
        {"name": one.name, "currency": one.currency, "stated": text(one.stated), "parts": list(one.parts),
         "total": text(one.total), "gap": text(one.gap), "refused": dict(one.refused)}
        for one in reconcile(parts)
    ]  # fmt: skip


def _sources(costing: Costing, today: date) -> list[dict[str, Any]]:
    newest, replaced = costing.source_through(today), superseded(costing.section.sources, costing.files)
    found = []
    for source in costing.section.sources:
        through = newest.get(source.name)
        files = [
            {
                "file": one.file, "modified_at": shapes.moment(one.modified_at),
                "imported_at": shapes.moment(one.imported_at), "rows": one.rows, "bad_rows": one.bad_rows,
                "bad": list(one.bad),
                "superseded_by": {each: replaced[one.source, one.file, each] for each in one.periods
                                  if (one.source, one.file, each) in replaced},
            }
            for one in costing.files if one.source == source.name
        ]  # fmt: skip
        errors = [{"file": key[1], "error": error} for key, error in costing.importer.errors.items()
                  if key[0] == source.name]  # fmt: skip
        found.append({
            "name": source.name, "kind": source.kind, "files": files, "errors": errors,
            "through": None if through is None else through.isoformat(),
            "age_seconds": None if through is None else max(today - through - DAY, timedelta(0)).total_seconds(),
        })  # fmt: skip
    return found
