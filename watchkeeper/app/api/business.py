"""Key figures and their forecasts, as pages and reports ask for them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from analytics.business import LEAST_HISTORY, change
from analytics.business_periods import from_grid, next_start
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.business import Judged
from watchkeeper.app.pipeline.predict import finished
from watchkeeper.clock import to_ms
from watchkeeper.store.state import KpiValue

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Periods drawn in a figure's line.
DRAWN = 120
#: What a prediction's row has when none was made.
NOT_MADE: dict[str, Any] = {
    "made_at": None, "method": "", "unknown": "not_made_yet", "backtest": None, "forecast": [], "ahead": [],
    "accuracy": [], "past": [], "forecasts_made": 0,
}  # fmt: skip


@router.get("/business")
def business(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    return business_body(engine, engine.clock.now())


@router.get("/predictions")
def predictions(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    return predictions_body(engine, engine.clock.now())


class Wanted(BaseModel):
    language: Literal["zh-CN", "en"] = "zh-CN"


@router.post("/reports/business", status_code=201)
def make_report(
    request: Request, body: Wanted, caller: Annotated[Principal, Depends(needs(Permission.REPORT))]
) -> dict[str, Any]:
    """Figures and forecasts as they stand, archived as HTML and CSV."""
    from dashboard.reports.business import business_csv, business_html

    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    data = {**business_body(engine, now), "predictions": predictions_body(engine, now)["rows"]}
    files = [make(data, body.language, engine.config.time_zone, now) for make in (business_html, business_csv)]
    with engine.state.begin() as unit:
        report_id = unit.documents.add_report("business", body.language, files[0], files[1], at=now)
        unit.audit.append(caller.name, "report", report_id, {"kind": "business"}, at=now)
    return {"id": report_id}


def business_body(engine: Engine, now: datetime) -> dict[str, Any]:
    zone = engine.config.zone
    rows = [row(one, now, zone) for one in engine.business.standing(now)]
    return {"rows": rows, "time_zone": zone.key, "enabled": engine.config.business.enabled, "now": shapes.moment(now)}


def predictions_body(engine: Engine, now: datetime) -> dict[str, Any]:
    known = engine.predicting.documents()
    rows = []
    for one in engine.business.standing(now):
        if one.kpi.predict:
            found = {**NOT_MADE, **known.get(one.kpi.name, {})}
            rows.append({**about(one), **found, "history": _points(finished(one)), "error": one.error,
                         "age_seconds": _age(found["made_at"], now)})  # fmt: skip
    return {"rows": rows, "time_zone": engine.config.time_zone, "now": shapes.moment(now)}


def about(one: Judged) -> dict[str, Any]:
    """What a figure is."""
    kpi = one.kpi
    return {
        "name": kpi.name, "title": kpi.title or kpi.name, "owner": kpi.owner, "unit": kpi.unit, "period": kpi.period,
        "direction": kpi.direction, "group": kpi.group, "role": kpi.role, "source": kpi.source.kind,
    }  # fmt: skip


def row(one: Judged, now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """How a figure stands. ``value`` is for drawing, ``exact`` is the number itself."""
    value = one.last.value if one.last is not None else None
    low, high = one.goal.edges
    known = [each for each in one.rows if each.finished and each.value is not None]
    return {
        **about(one),
        **_period(one, one.last, zone),
        "status": one.verdict.status,
        "reasons": list(one.verdict.reasons),
        "low": _number(low),
        "high": _number(high),
        "expected": one.usual.expected,
        "lower": one.usual.lower,
        "upper": one.usual.upper,
        "score": one.usual.score,
        "learning": one.scores is None,
        "periods": len(known),
        "periods_needed": LEAST_HISTORY,
        "change": {name: shapes.number(change(value, reference)) for name, reference in one.references.items()},
        "current": None if one.current is None else _period(one, one.current, zone),
        "points": _points(finished(one)),
        "band": _band(one, zone),
        "read_at": shapes.moment(one.read_at),
        "age_seconds": None if one.read_at is None else max((now - one.read_at).total_seconds(), 0.0),
        "error": one.error,
        "restated": sum(each.revisions > 0 for each in one.rows),
    }


def _period(one: Judged, found: KpiValue | None, zone: ZoneInfo) -> dict[str, Any]:
    if found is None:
        return {"value": None, "exact": None, "start": None, "end": None, "revisions": 0}
    return {
        "value": _number(found.value),
        "exact": None if found.value is None else format(found.value, "f"),
        "start": shapes.moment(found.start),
        "end": shapes.moment(next_start(one.kpi.period, found.start, zone)),
        "revisions": found.revisions,
    }


def _points(rows: list[KpiValue]) -> list[list[float | None]]:
    return [[to_ms(each.start), _number(each.value)] for each in rows[-DRAWN:]]


def _band(one: Judged, zone: ZoneInfo) -> list[list[float | None]]:
    """[[ms, lower, upper], ...] where it is known."""
    if one.scores is None:
        return []
    edges = zip(one.scores.times.tolist(), one.scores.lower[0].tolist(), one.scores.upper[0].tolist(), strict=True)
    found = [
        [to_ms(from_grid(one.kpi.period, at, zone)), shapes.number(low), shapes.number(high)] for at, low, high in edges
    ]
    return [edge for edge in found[-DRAWN:] if edge[1] is not None and edge[2] is not None]


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _age(made_at: str | None, now: datetime) -> float | None:
    return None if made_at is None else max((now - datetime.fromisoformat(made_at)).total_seconds(), 0.0)
