"""Who may: one dependency per permission, deny by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from watchkeeper.access import Permission, Principal, allows, authenticate
from watchkeeper.errors import AccessError

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def principal_of(request: Request) -> Principal:
    """The caller, from the Authorization header; 401 when there is none.

    A browser session changing anything must also send its CSRF token. Prometheus queries by POST change nothing.
    """
    engine = request.app.state.engine
    try:
        found = authenticate(engine.state, request.headers.get("authorization", ""), engine.clock.now())
    except AccessError as error:
        raise HTTPException(401, str(error), headers={"WWW-Authenticate": "Bearer"}) from None
    changes = request.method in UNSAFE and not request.url.path.startswith("/api/v1/")
    if changes and found.csrf and request.headers.get("x-csrf-token") != found.csrf:
        raise HTTPException(403, "the CSRF token is missing or wrong")
    return found


Caller = Annotated[Principal, Depends(principal_of)]


def needs(permission: Permission) -> Callable[[Principal], Principal]:
    """A dependency that answers the caller when the role has the permission, else 403."""

    def check(caller: Caller) -> Principal:
        if not allows(caller, permission):
            raise HTTPException(403, f"role {caller.role} lacks the permission {permission.value}")
        return caller

    return check


read = needs(Permission.READ)
