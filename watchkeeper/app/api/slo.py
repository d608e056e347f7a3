"""Service levels, as the SLA page and report ask for them; and the calculator for services in a row."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from analytics.response import answered
from analytics.slo_paths import budget_path, burn_path
from analytics.slo_windows import Chain, Standing, chain, progress, span_of
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.objectives import BURNS, Judged
from watchkeeper.clock import from_ms, to_ms

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Incidents looked at for the response clocks of a month.
MOST_INCIDENTS = 5000
#: Services that the calculator takes.
MOST_SERVICES = 1000
#: Digits and a point, as a person writes them: an exponent could ask for an answer of a gigabyte.
PER_CENT = re.compile(r"[0-9.]{1,40}")


@router.get("/slo")
def slo(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    return slo_body(engine, engine.clock.now())


@router.get("/slo/composite")
def composite(
    count: Annotated[int, Query(ge=1, le=MOST_SERVICES)], each: str, target: str
) -> dict[str, Any]:  # fmt: skip
    """``count`` services of ``each`` per cent in a row, against ``target`` per cent for the whole."""
    try:
        if not (PER_CENT.fullmatch(each) and PER_CENT.fullmatch(target)):
            raise ValueError
        found = chain([Decimal(each)] * count, Decimal(target))
    except (ValueError, InvalidOperation):
        raise HTTPException(400, "each and target are per cent between 0 and 100, such as 99.9") from None
    return _chain(found)


@router.get("/slo/report.{form}")
def report_now(request: Request, form: str, language: str = "zh-CN") -> Response:
    """The report as it stands, without keeping it."""
    from dashboard.reports.sla import sla_csv, sla_html

    if form not in ("csv", "html"):
        raise HTTPException(404, f"there is no report.{form}; there are report.csv and report.html")
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    make, kind = (sla_csv, "text/csv") if form == "csv" else (sla_html, "text/html")
    content = make(slo_body(engine, now), language, engine.config.time_zone, now)
    name = f"sla-{now.astimezone(engine.config.zone):%Y-%m-%d}.{form}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)


class Wanted(BaseModel):
    language: Literal["zh-CN", "en"] = "zh-CN"


@router.post("/reports/sla", status_code=201)
def make_report(
    request: Request, body: Wanted, caller: Annotated[Principal, Depends(needs(Permission.REPORT))]
) -> dict[str, Any]:
    """Service levels as they stand, archived as HTML and CSV."""
    from dashboard.reports.sla import sla_csv, sla_html

    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    data = slo_body(engine, now)
    html, csv = (make(data, body.language, engine.config.time_zone, now) for make in (sla_html, sla_csv))
    with engine.state.begin() as unit:
        report_id = unit.documents.add_report("sla", body.language, html, csv, at=now)
        unit.audit.append(caller.name, "report", report_id, {"kind": "sla"}, at=now)
    return {"id": report_id}


def slo_body(engine: Engine, now: datetime) -> dict[str, Any]:
    return {
        "rows": [row(engine, one, now) for one in engine.objectives.standing()],
        "composites": [
            {"name": name, "of": parts, **_chain(found)} for name, parts, found in engine.objectives.chains()
        ],
        "response": _response(engine, now),
        "enabled": engine.config.objectives.enabled,
        "time_zone": engine.config.time_zone,
        "now": shapes.moment(now),
    }


def row(engine: Engine, one: Judged, now: datetime) -> dict[str, Any]:
    """One objective. Texts named ``target``, ``computed``, ``contract`` and ``allowed`` are exact decimals."""
    asked, account = one.objective, one.account
    drawn = "month" if "month" in asked.windows else asked.windows[0]
    kept = account.days if drawn == "year" else account.hours
    contract = engine.config.objectives.contract(asked).get(drawn)
    budget = budget_path(kept, one.windows[drawn].span, target=one.target, contract=contract)
    return {
        "name": asked.name,
        "title": asked.title or asked.name,
        "service": asked.service,
        "tier": asked.tier,
        "owner": asked.owner,
        "description": asked.description,
        "kind": asked.kind,
        "target": _exact(one.target),
        "windows": [{"window": name, **window(found)} for name, found in one.windows.items()],
        "burns": {name: shapes.number(rate) for name, rate in one.burns.items()},
        "burn_points": _points(burn_path(account.pieces, BURNS["1h"], one.target)),
        "budget_window": drawn,
        "budget_points": _points(budget),
        "baseline": None if asked.baseline is None else _exact(asked.baseline),
        "due": None if asked.due is None else asked.due.isoformat(),
        "progress": _progress(one, drawn),
        "since": _at(account.since_ms),
        "until": _at(account.until_ms),
        "age_seconds": max(to_ms(now) - account.known_ms, 0) / 1000 if account.known_ms else None,
        "error": account.error,
    }


def window(found: Standing) -> dict[str, Any]:
    return {
        "start": shapes.moment(found.span.start),
        "end": shapes.moment(found.span.end),
        "status": found.status,
        "attained": shapes.number(found.attained),
        "attained_at_worst": shapes.number(found.attained_at_worst),
        "computed": _exact(found.computed),
        "contract": None if found.contract is None else _exact(found.contract),
        "allowed": _exact(found.allowed),
        "used": shapes.number(found.used),
        "left": shapes.number(found.left),
        "left_ratio": shapes.number(found.left_ratio),
        "unknown_minutes": found.unknown / 60,
        "unknown_ratio": shapes.number(found.unknown_ratio),
        "unwatched_minutes": found.unwatched / 60,
        "excluded_minutes": found.counts.excluded / 60,
        "events": found.counts.events,
        "bad_events": found.counts.bad_events,
    }


def _progress(one: Judged, drawn: str) -> float | None:
    if one.objective.baseline is None:
        return None
    return shapes.number(progress(one.objective.baseline, one.target, one.windows[drawn].attained))


def _response(engine: Engine, now: datetime) -> dict[str, Any]:
    """Response clocks of the incidents opened in this calendar month."""
    span = span_of("month", now, engine.config.zone)
    with engine.state.read() as unit:
        incidents = unit.incidents.recent(span.start, MOST_INCIDENTS)
    rows = [
        {
            "severity": each.severity, "in_time": each.in_time, "late": each.late, "running": each.running,
            "ratio": shapes.number(each.ratio),
        }
        for each in answered(incidents, now)
    ]  # fmt: skip
    return {"since": shapes.moment(span.start), "incidents": len(incidents), "rows": rows}


def _chain(found: Chain) -> dict[str, Any]:
    return {
        "target": _exact(found.target),
        "attainable": _exact(found.attainable),
        "needed": _exact(found.needed),
        "contradicts": found.contradicts,
    }


def _exact(value: Decimal) -> str:
    """Without trailing zeros and without an exponent."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _points(found: list[tuple[int, float]]) -> list[list[float | None]]:
    return [[at, shapes.number(value)] for at, value in found]


def _at(ms: int) -> str | None:
    return shapes.moment(from_ms(ms)) if ms else None
