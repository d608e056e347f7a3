"""Who may: one dependency per permission, deny by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from watchkeeper.access import Permission, Principal, authenticate, require, require_csrf
from watchkeeper.app.api import environments

#: Paths of Prometheus's API that change something.
CHANGING = frozenset({"/api/v1/write", "/api/v1/otlp/v1/metrics"})
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def principal_of(request: Request) -> Principal:
    """The caller, from the Authorization header; raises AccessError when there is none.

    A browser session changing anything must also send its CSRF token. Prometheus queries by POST change nothing.
    """
    engine = request.app.state.engine
    found = authenticate(engine.state, request.headers.get("authorization", ""), engine.clock.now())
    harmless = request.url.path.startswith("/api/v1/") and request.url.path not in CHANGING
    if request.method in UNSAFE and not harmless:
        require_csrf(found, request.headers.get("x-csrf-token"))
    return found


Caller = Annotated[Principal, Depends(principal_of)]


def needs(permission: Permission) -> Callable[[Principal, Request], Principal]:
    """A dependency that answers the caller when the role has the permission; raises ForbiddenError otherwise.

    So it does when what is changed belongs to an environment that is not the caller's.
    """

    def check(caller: Caller, request: Request) -> Principal:
        require(caller, permission)
        environments.check(request, caller, permission)
        return caller

    return check


read = needs(Permission.READ)
