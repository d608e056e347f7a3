"""Every refusal in one shape: ``{"error", "kind"}``; under /api/v1 Prometheus's own."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from watchkeeper.access import ForbiddenError, WeakPasswordError
from watchkeeper.access.errors import UnknownRoleError, UnknownUserError
from watchkeeper.errors import AccessError, ConfigError, QueryError, StoreError, WatchkeeperError

#: HTTP status of expected errors, the narrow kinds first.
STATUS: tuple[tuple[type[WatchkeeperError], int], ...] = (
    (ForbiddenError, 403),
    (WeakPasswordError, 400),
    (UnknownUserError, 404),
    (UnknownRoleError, 422),
    (AccessError, 401),
    (StoreError, 503),
    (ConfigError, 400),
)
KINDS = {
    400: "bad_data",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "invalid",
    429: "too_many",
    500: "internal",
}
#: HTTP status of Prometheus's errorTypes of queries.
QUERY_STATUS = {"bad_data": 400, "execution": 422, "timeout": 503, "canceled": 503}
#: Prometheus's errorType, where it has one.
ERROR_TYPES = {400: "bad_data", 404: "not_found", 422: "bad_data", 500: "internal", 503: "unavailable"}
#: Mistakes of one request that are named.
NAMED = 5


def refusal(
    request: Request,
    status: int,
    message: str,
    *,
    kind: str = "",
    error_type: str = "",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer of an error on this path. ``error_type``: Prometheus's word; else its word for the status."""
    kind = kind or KINDS.get(status, "error")
    body = {"error": message, "kind": kind}
    if request.url.path.startswith("/api/v1/"):
        body = {"status": "error", "errorType": error_type or ERROR_TYPES.get(status, kind), "error": message}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def add_handlers(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return refusal(request, error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def misshapen(request: Request, error: RequestValidationError) -> JSONResponse:
        """What was sent is not repeated: it may be a password."""
        found = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
        text = "; ".join([*found[:NAMED], *more])
        return refusal(request, 422, text.encode("utf-8", "replace").decode()[:2000])

    @app.exception_handler(WatchkeeperError)
    async def expected(request: Request, error: WatchkeeperError) -> JSONResponse:
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 422)
        if isinstance(error, QueryError) and request.url.path.startswith("/api/v1/"):
            return refusal(request, QUERY_STATUS[error.kind], str(error), error_type=error.kind)
        return refusal(request, status, str(error), kind=type(error).__name__)

    @app.exception_handler(Exception)
    async def crashed(request: Request, _error: Exception) -> JSONResponse:
        """The server writes the traceback to the log; the caller learns no more than that it happened."""
        return refusal(request, 500, "the engine failed on this request; its log (log/engine.log) says where")
