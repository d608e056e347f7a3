"""What the other pages ask: chart, rules, collectors, capacity, reports, status."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from incidents import read_ledger
from remediation.actuator import separation
from watchkeeper import __version__
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.bands import Bands
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.api.prometheus.times import LATEST_SECONDS
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.marks import marks
from watchkeeper.app.reload import reload
from watchkeeper.app.tried import condition
from watchkeeper.app.wiring import actuator_socket
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Matrix, format_series, label
from watchkeeper.promql import RangeMatrix

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: A chart of more series is drawn without bands: nobody could read them.
SCORED = 8
#: Points of one chart that are scored on the spot, as each costs the detector a millisecond; more: no band.
SCORED_POINTS = 400
#: Milliseconds since 1970 that a chart may name.
Moment = Annotated[int, Query(ge=0, le=round(LATEST_SECONDS * 1000))]
#: Series of one chart at most.
DRAWN = 200


@router.get("/chart")
def chart(
    request: Request, expr: str, start_ms: Moment, end_ms: Moment, step_ms: Moment, *, bands: bool = True,
    service: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> dict[str, Any]:  # fmt: skip
    """A range query with, when it has few series, the expected band and score of each over the same points.

    Points stand at whole multiples of the step, so that a chart asked again a moment later has the same points.
    ``marks`` are what was done meanwhile to ``service``, else to the services that the series name.
    """
    engine: Engine = request.app.state.engine
    step_ms = max(step_ms, 1)
    try:
        result = engine.promql.range(expr, start_ms // step_ms * step_ms, end_ms // step_ms * step_ms, step_ms)
    except QueryError as error:
        return {"series": [], "warnings": [], "error": str(error), "marks": []}
    values = np.where(result.present, result.values, np.nan)
    rows = [
        {"labels": dict(one), "name": format_series(one), "points": shapes.pairs(result.times, values[index])}
        for index, one in enumerate(result.series[:DRAWN])
    ]
    scored = _bands(engine, request.app.state.bands, expr, step_ms, result) if bands else []
    for index, band in enumerate(scored):
        rows[index].update(band)
    notes = [*result.warnings, *result.infos]
    if len(result.series) > DRAWN:
        notes.append(f"{len(result.series)} series; the first {DRAWN} are drawn")
    named = set(service or ()) or {label(one, "service") for one in result.series} - {""}
    done = marks(engine, named, from_ms(start_ms), from_ms(end_ms))
    return {"series": rows, "warnings": notes, "error": "", "marks": done}


def _bands(engine: Engine, bands: Bands, expr: str, step_ms: int, result: RangeMatrix) -> list[dict[str, Any]]:
    """What the detector expects at each point, having seen only the points before it."""
    if not engine.config.scoring.enabled or not 2 <= len(result.times) <= SCORED_POINTS:
        return []
    if not 0 < len(result.series) <= SCORED:
        return []
    matrix = Matrix(
        series=tuple(result.series),
        times=result.times,
        values=np.where(result.present, result.values, np.nan),
        present=result.present,
    )
    found = bands.along(expr, step_ms, matrix)
    names = {"score": "value", "expected": "expected", "lower": "lower", "upper": "upper"}
    return [
        {name: shapes.numbers(found[part][index].tolist()) for name, part in names.items()}
        for index in range(len(result.series))
    ]


@router.get("/rules")
def rules(request: Request) -> dict[str, Any]:
    return {"groups": request.app.state.engine.judging.groups_view()}


@router.post("/reload")
async def reload_all(
    request: Request, caller: Annotated[Principal, Depends(needs(Permission.MANAGE_RULES))]
) -> dict[str, Any]:
    """watchkeeper.yaml and rule files anew; a mistake leaves the last good ones in force and is answered."""
    error = await reload(request.app.state.engine)
    return {"reloaded": not error, "error": error, "by": caller.name}


@router.get("/collectors")
def collectors(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    rows = []
    for source in list(engine.sources.values()):
        lag = None if source.last_at is None else max((now - source.last_at).total_seconds(), 0.0)
        how, notes = condition(source)
        rows.append(
            {
                "name": source.name,
                "kind": source.kind,
                "interval_seconds": source.interval.total_seconds(),
                "state": source.state,
                "condition": how,
                "notes": notes,
                "last_at": shapes.moment(source.last_at),
                "lag_seconds": lag,
                "seconds": source.seconds,
                "series": source.series,
                "samples": source.samples,
                "error": source.error,
                "received": source.received,
                "stored": source.stored,
                "rejected": dict(source.rejected),
                "target": source.target,
            }
        )
    return {
        "collectors": rows,
        "ledger": engine.telemetry.ledger(),
        "store": shapes.plain(dict(engine.samples.stats())),
    }


@router.get("/capacity")
def capacity(request: Request) -> dict[str, Any]:
    return {"rows": request.app.state.engine.capacity_rows()}


@router.get("/reports")
def reports(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        rows = unit.documents.reports()
    return {
        "reports": [
            {"id": row[0], "kind": row[1], "created_at": shapes.moment(row[2]), "language": row[3]} for row in rows
        ]
    }


class Wanted(BaseModel):
    language: Literal["zh-CN", "en"] = "zh-CN"


@router.post("/reports/capacity", status_code=201)
def make_report(
    request: Request, body: Wanted, caller: Annotated[Principal, Depends(needs(Permission.REPORT))]
) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    report_id = engine.make_capacity_report(body.language, engine.clock.now(), caller.name)
    return {"id": report_id}


@router.get("/reports/{name}")
def report(request: Request, name: str) -> Response:
    engine: Engine = request.app.state.engine
    report_id, _, kind = name.rpartition(".")
    with engine.state.read() as unit:
        row = unit.documents.report(report_id)
    if row is None or kind not in ("html", "csv"):
        raise HTTPException(404, f"there is no report {name}")
    content, media = (row.html, "text/html") if kind == "html" else (row.csv, "text/csv")
    headers = {"content-disposition": f'attachment; filename="{row.kind}-{row.created_at:%Y-%m-%d}.{kind}"'}
    if kind == "html":
        headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
    return Response(content, media_type=f"{media}; charset=utf-8", headers=headers)


@router.get("/status")
def status(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        transitions = unit.transitions.counts()
        deliveries = unit.outbox.counts()
        alerts, actions = read_ledger(unit), unit.actions.counts()
    return {
        "version": __version__,
        "started_at": shapes.moment(engine.started_at),
        "data_dir": str(engine.data.root),
        "environment": engine.config.environment,
        "loop_lag_seconds": engine.loop_lag(),
        "channels": engine.telling.channels_view(),
        "ledgers": {
            "samples": engine.telemetry.ledger(),
            "alerts": {"raised": alerts.raised, **alerts.outcomes()},
            "actions": actions,
            "transitions": {f"{kind}/{state}": count for (kind, state), count in transitions.items()},
            "deliveries": {f"{channel}/{state}": count for (channel, state), count in deliveries.items()},
        },
        "separation": separation(actuator_socket(engine.config, engine.data)),
        "time_zone": engine.config.time_zone,
        "language": engine.config.language,
        "jobs": [
            {
                "name": job.name,
                "last_at": shapes.moment(job.last_at),
                "last_seconds": job.last_seconds,
                "error": job.last_error,
            }
            for job in list(engine.scheduler.jobs.values())
        ],
        "reload": {"at": shapes.moment(engine.reload_tried_at), "error": engine.judging.reload_error},
        "scored_series": sum(engine.scoring.lanes().values()),
        "now_ms": to_ms(engine.clock.now()),
    }


class Channel(BaseModel):
    channel: str
    language: str = "zh-CN"


@router.post("/notify/test")
async def notify_test(
    request: Request, body: Channel, caller: Annotated[Principal, Depends(needs(Permission.NOTIFY_TEST))]
) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    answer: dict[str, Any] = await engine.telling.test(body.channel, body.language, caller.name, engine.clock.now())
    return answer
