"""The Prometheus HTTP API, so that Grafana, promtool and scripts use Watchkeeper as a data source."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from watchkeeper import __version__
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.clock import to_ms
from watchkeeper.config.types import parse_duration
from watchkeeper.errors import QueryError
from watchkeeper.model import AlertState, Matcher
from watchkeeper.promql import parse, selectors, to_json

router = APIRouter(prefix="/api/v1", dependencies=[Depends(read)])

#: Times of queries are within ten thousand years of 1970: far from what 64 bits of milliseconds hold.
LATEST_SECONDS = 3.2e11
#: Prometheus's HTTP status for each errorType.
STATUS = {"bad_data": 400, "execution": 422, "timeout": 503, "canceled": 503}


def success(data: Any, warnings: list[str] | None = None, infos: list[str] | None = None) -> JSONResponse:
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = warnings
    if infos:
        body["infos"] = infos
    return JSONResponse(body)


def failure(error: QueryError) -> JSONResponse:
    body = {"status": "error", "errorType": error.kind, "error": str(error)}
    return JSONResponse(body, status_code=STATUS[error.kind])


async def parameters(request: Request) -> dict[str, list[str]]:
    """Query string and form together: Grafana posts forms."""
    found: dict[str, list[str]] = {}
    for key, value in request.query_params.multi_items():
        found.setdefault(key, []).append(value)
    if request.method == "POST":
        form = await request.form()
        for key, item in form.multi_items():
            found.setdefault(key, []).append(str(item))
    return found


Parameters = Annotated[dict[str, list[str]], Depends(parameters)]


def engine_of(request: Request) -> Engine:
    found: Engine = request.app.state.engine
    return found


def moment_ms(text: str | None, default: int, name: str) -> int:
    """Unix seconds or RFC 3339 as milliseconds."""
    if text is None:
        return default
    try:
        seconds = float(text)
        if abs(seconds) <= LATEST_SECONDS:
            return round(seconds * 1000)
    except ValueError:
        pass
    try:
        return to_ms(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise QueryError(f'invalid parameter "{name}": cannot parse {text!r} to a valid timestamp') from None


def step_ms(text: str | None) -> int:
    if text is None:
        raise QueryError('invalid parameter "step": missing')
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parse_duration(text).total_seconds()
        except ValueError:
            raise QueryError(f'invalid parameter "step": cannot parse {text!r} to a valid duration') from None
    if not 0 < seconds < 1e10:
        raise QueryError("zero or negative query resolution step widths are not accepted. Try a positive integer")
    return max(round(seconds * 1000), 1)


def first(found: dict[str, list[str]], name: str) -> str | None:
    values = found.get(name)
    return values[0] if values else None


@router.post("/query", include_in_schema=False)
@router.get("/query")
def query(request: Request, found: Parameters) -> JSONResponse:
    engine = engine_of(request)
    try:
        at = moment_ms(first(found, "time"), to_ms(engine.clock.now()), "time")
        result = engine.promql.instant(_expr(found), at)
    except QueryError as error:
        return failure(error)
    return success(to_json(result), result.warnings, result.infos)


@router.post("/query_range", include_in_schema=False)
@router.get("/query_range")
def query_range(request: Request, found: Parameters) -> JSONResponse:
    try:
        start = moment_ms(first(found, "start"), -1, "start")
        end = moment_ms(first(found, "end"), -1, "end")
        if start < 0 or end < 0:
            raise QueryError('invalid parameter "start" or "end": missing')
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time')
        result = engine_of(request).promql.range(_expr(found), start, end, step_ms(first(found, "step")))
    except QueryError as error:
        return failure(error)
    return success(to_json(result), result.warnings, result.infos)


def _expr(found: dict[str, list[str]]) -> str:
    expr = first(found, "query")
    if not expr:
        raise QueryError('invalid parameter "query": empty')
    return expr


@router.post("/series", include_in_schema=False)
@router.get("/series")
def series(request: Request, found: Parameters) -> JSONResponse:
    engine = engine_of(request)
    try:
        start, end = _range(engine, found)
        wanted = _matchers(found)
        if not wanted:
            raise QueryError("no match[] parameter provided")
        rows = {one for group in wanted for one in engine.samples.series(group, start, end)}
    except QueryError as error:
        return failure(error)
    return success([dict(one) for one in sorted(rows)])


@router.post("/labels", include_in_schema=False)
@router.get("/labels")
def label_names(request: Request, found: Parameters) -> JSONResponse:
    engine = engine_of(request)
    try:
        start, end = _range(engine, found)
        groups = _matchers(found) or [[]]
        names = {name for group in groups for name in engine.samples.label_names(group, start, end)}
    except QueryError as error:
        return failure(error)
    return success(sorted(names))


@router.get("/label/{name}/values")
def label_values(request: Request, name: str, found: Parameters) -> JSONResponse:
    engine = engine_of(request)
    try:
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
            raise QueryError(f"invalid label name: {name!r}")
        start, end = _range(engine, found)
        groups = _matchers(found) or [[]]
        values = {value for group in groups for value in engine.samples.label_values(name, group, start, end)}
    except QueryError as error:
        return failure(error)
    return success(sorted(values))


def _range(engine: Engine, found: dict[str, list[str]]) -> tuple[int, int]:
    now = to_ms(engine.clock.now())
    return moment_ms(first(found, "start"), 0, "start"), moment_ms(first(found, "end"), now, "end")


def _matchers(found: dict[str, list[str]]) -> list[list[Matcher]]:
    """The selectors of ``match[]``. Each must be one plain selector."""
    groups: list[list[Matcher]] = []
    for text in found.get("match[]", []):
        parse(text)
        chosen = selectors(text)
        if len(chosen) != 1:
            raise QueryError(f'invalid parameter "match[]": {text!r} is not a selector')
        groups.append(list(chosen[0][0]))
    return groups


@router.get("/metadata")
def metadata(request: Request, metric: Annotated[str | None, Query()] = None) -> JSONResponse:
    rows: dict[str, list[dict[str, str]]] = {}
    for source in list(engine_of(request).sources.values()):
        for name, about in getattr(source.collector, "metadata", {}).items():
            row = {"type": about.type, "help": about.help, "unit": about.unit}
            if (metric is None or metric == name) and row not in rows.setdefault(name, []):
                rows[name].append(row)
    return success({name: found for name, found in rows.items() if found})


@router.get("/rules")
def rules(request: Request) -> JSONResponse:
    return success({"groups": engine_of(request).judging.prometheus_groups()})


@router.get("/alerts")
def alerts(request: Request) -> JSONResponse:
    with engine_of(request).state.read() as unit:
        rows = unit.alerts.open()
    found = [
        {
            "labels": {**row.labels},
            "annotations": {**row.annotations},
            "state": row.state,
            "activeAt": row.active_at.isoformat().replace("+00:00", "Z"),
            "value": repr(row.value),
        }
        for row in rows
        if row.state in (AlertState.PENDING, AlertState.FIRING)
    ]
    return success({"alerts": found})


@router.get("/targets")
def targets(request: Request) -> JSONResponse:
    rows = [_target(source) for source in list(engine_of(request).sources.values())]
    return success({"activeTargets": rows, "droppedTargets": [], "droppedTargetCounts": {}})


def _target(source: Source) -> dict[str, Any]:
    interval = f"{source.interval.total_seconds():g}s"
    return {
        "discoveredLabels": {},
        "labels": source.health_labels,
        "scrapePool": source.name,
        "scrapeUrl": source.target,
        "globalUrl": source.target,
        "lastError": source.error,
        "lastScrape": "" if source.last_at is None else source.last_at.isoformat(),
        "lastScrapeDuration": source.seconds,
        "health": {"up": "up", "failing": "down"}.get(source.state, "unknown"),
        "scrapeInterval": interval,
        "scrapeTimeout": interval,
    }


@router.get("/status/buildinfo")
def buildinfo() -> JSONResponse:
    #: Grafana chooses its API by this version; the language is Prometheus 3's.
    data = {"version": "3.0.0", "revision": "", "branch": "", "application": f"watchkeeper {__version__}"}
    return success(data)


@router.get("/status/runtimeinfo")
def runtimeinfo(request: Request) -> JSONResponse:
    engine = engine_of(request)
    stats = engine.samples.stats()
    return success({"startTime": engine.started_at.isoformat(), "timeSeriesCount": stats.get("series", 0)})
