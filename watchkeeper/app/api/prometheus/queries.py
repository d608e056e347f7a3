"""Questions in PromQL: at one moment, over a range, and what an answer cost."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.answers import (
    TRUNCATED,
    Parameters,
    engine_of,
    first,
    quoted,
    success,
    success_text,
    whole,
)
from watchkeeper.app.api.prometheus.times import LATEST_MS, duration_ms, moment_ms, span_ms, step_ms
from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.promql import Asked, RangeMatrix, Result, Vector, parse
from watchkeeper.promql.encode import Encoder

router = APIRouter(prefix="/api/v1", dependencies=[Depends(read)])


@router.post("/query", include_in_schema=False)
@router.get("/query")
def query(request: Request, found: Parameters) -> Response:
    came, engine = time.perf_counter(), engine_of(request)
    at, asked = moment_ms(found, "time", to_ms(engine.clock.now())), _asked(found)
    limit, expr = whole(found, "limit"), _expr(found)
    prepared = time.perf_counter() - came
    result = engine.promql.instant(expr, at, asked)
    return _answer(request, found, result, limit, _figures(asked, prepared))


@router.post("/query_range", include_in_schema=False)
@router.get("/query_range")
def query_range(request: Request, found: Parameters) -> Response:
    came = time.perf_counter()
    start, end = span_ms(found)
    step, asked = step_ms(found), _asked(found)
    limit, expr = whole(found, "limit"), _expr(found)
    prepared = time.perf_counter() - came
    result = engine_of(request).promql.range(expr, start, end, step, asked)
    return _answer(request, found, result, limit, _figures(asked, prepared))


@router.post("/query_exemplars", include_in_schema=False)
@router.get("/query_exemplars")
def query_exemplars(found: Parameters) -> Response:
    """Exemplars are counted where they are read and not kept: there are none to answer with."""
    span_ms(found, -LATEST_MS, LATEST_MS)
    _expr(found)
    return success([])


def _expr(found: dict[str, list[str]]) -> str:
    """The query, parsed once so that what is wrong with it is said first."""
    expr = first(found, "query")
    if not expr.strip():
        raise QueryError('invalid parameter "query": unknown position: parse error: no expression found in input')
    parse(expr)
    return expr


def _asked(found: dict[str, list[str]]) -> Asked:
    asked = Asked()
    if first(found, "timeout"):
        asked.timeout_seconds = max(duration_ms(found, "timeout"), 0) / 1000
    if first(found, "lookback_delta"):
        asked.lookback_ms = duration_ms(found, "lookback_delta")
        if asked.lookback_ms <= 0:
            said = quoted(first(found, "lookback_delta"))
            raise QueryError(f'invalid parameter "lookback_delta": {said} is not a positive duration')
    return asked


def _answer(
    request: Request, found: dict[str, list[str]], result: Result, limit: int, figures: dict[str, Any]
) -> Response:
    encode: Encoder = request.app.state.encode
    if isinstance(result, Vector | RangeMatrix) and 0 < limit < len(result.series):
        result = _first(result, limit)
    data = encode(result)
    if first(found, "stats"):
        data = data[:-1] + b',"stats":' + json.dumps(figures).encode() + b"}"
    return success_text(data, result.warnings, result.infos)


def _first(result: Vector | RangeMatrix, limit: int) -> Vector | RangeMatrix:
    series, values, warnings = result.series[:limit], result.values[:limit], [*result.warnings, TRUNCATED]
    if isinstance(result, Vector):
        return replace(result, series=series, values=values, warnings=warnings)
    return replace(result, series=series, values=values, present=result.present[:limit], warnings=warnings)


def _figures(asked: Asked, prepared: float) -> dict[str, Any]:
    """Prometheus's statistics as far as they are measured here: seconds, and samples as the limit counts them.

    Sorting is part of the evaluation, which runs over all steps at once: there are no figures of single steps.
    """
    return {
        "timings": {
            "evalTotalTime": asked.evaluated_seconds,
            "resultSortTime": 0,
            "queryPreparationTime": prepared,
            "innerEvalTime": asked.evaluated_seconds,
            "execQueueTime": asked.waited_seconds,
            "execTotalTime": prepared + asked.waited_seconds + asked.evaluated_seconds,
        },
        "samples": {"totalQueryableSamples": asked.samples, "peakSamples": asked.samples},
    }
