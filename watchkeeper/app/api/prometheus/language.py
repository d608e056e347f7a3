"""PromQL as text and as a tree, without asking it."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.answers import Parameters, first, success
from watchkeeper.promql.written import format_query, tree

router = APIRouter(prefix="/api/v1", dependencies=[Depends(read)])


@router.post("/format_query", include_in_schema=False)
@router.get("/format_query")
def formatted(found: Parameters) -> Response:
    return success(format_query(first(found, "query")))


@router.post("/parse_query", include_in_schema=False)
@router.get("/parse_query")
def parsed(found: Parameters) -> Response:
    return success(tree(first(found, "query")))
