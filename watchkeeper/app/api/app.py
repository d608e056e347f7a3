"""The engine's FastAPI application: every route guarded, every answer counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from watchkeeper import __version__
from watchkeeper.app.api import (
    access,
    actions,
    agents,
    audit,
    business,
    catalogue,
    changes,
    cost,
    events,
    feedback,
    incidents,
    links,
    logs,
    otlp,
    overview,
    plans,
    privacy,
    prometheus,
    pushgateway,
    quality,
    query_cost,
    releases,
    remote_write,
    risk,
    safety,
    scaling,
    scored,
    security,
    slo,
    snapshots,
    testing,
    tuning,
    views,
    webhooks,
)
from watchkeeper.app.api.bands import Bands
from watchkeeper.app.api.errors import add_handlers, refusal
from watchkeeper.app.api.guard import read
from watchkeeper.app.api.limits import MAX_BODY
from watchkeeper.app.engine import Engine
from watchkeeper.asgi import BodyLimit, too_large
from watchkeeper.promql.encode import Encoder


def create(engine: Engine, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """The application over one engine, with ``routers`` beside its own routes."""
    app = FastAPI(title="Watchkeeper", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.engine = engine
    app.state.bands = Bands(engine.detector)
    app.state.access_changes = 0
    app.state.overview = overview.Cache()
    app.state.turns = testing.Turns()
    app.state.encode = Encoder()
    app.router.routes.extend(_parts())
    for router in routers:
        app.include_router(router)
    _own_routes(app)
    add_handlers(app)
    app.add_middleware(BodyLimit, limit=MAX_BODY)
    app.middleware("http")(_around)
    return app


@cache
def _parts() -> tuple[BaseRoute, ...]:
    """Routes of all parts: worked out once, however many applications this process makes."""
    house = APIRouter()
    for part in (
        access,
        actions,
        agents,
        audit,
        business,
        catalogue,
        changes,
        cost,
        events,
        feedback,
        incidents,
        links,
        logs,
        otlp,
        overview,
        plans,
        *prometheus.PARTS,
        pushgateway,
        quality,
        privacy,
        query_cost,
        releases,
        remote_write,
        risk,
        safety,
        scaling,
        scored,
        security,
        slo,
        snapshots,
        testing,
        tuning,
        views,
        webhooks,
    ):
        house.include_router(part.router)
    return tuple(house.routes)


def _own_routes(app: FastAPI) -> None:
    @app.get("/-/healthy")
    async def healthy() -> PlainTextResponse:
        return PlainTextResponse("Watchkeeper is alive.\n")

    @app.get("/-/ready")
    def ready(request: Request) -> PlainTextResponse:
        why = request.app.state.engine.not_ready()
        return PlainTextResponse(f"{why}\n" if why else "Watchkeeper is ready.\n", status_code=503 if why else 200)

    @app.get("/metrics", dependencies=[Depends(read)])
    def metrics(request: Request) -> Response:
        body = request.app.state.engine.exposition()
        return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/api/openapi.json", dependencies=[Depends(read)])
    def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())


async def _around(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Size limit before, headers and counting after."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > MAX_BODY:
        return refusal(request, 413, too_large(MAX_BODY).detail)
    response = await go_on(request)
    response.headers.setdefault("x-content-type-options", "nosniff")
    response.headers.setdefault("cache-control", "no-store")
    response.headers.setdefault("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
    route = request.scope.get("route")
    name = getattr(route, "path", "other")
    request.app.state.engine.telemetry.api_requests.labels(name, str(response.status_code)).inc()
    return response
