"""The one guard: who asks, and may they."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from watchkeeper.access.errors import ForbiddenError
from watchkeeper.access.roles import Permission, Principal, Role
from watchkeeper.access.sessions import expires_at, find_session
from watchkeeper.access.tokens import find_token
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State

#: How long a typed password counts for actions of class A3 and A4.
RECENT = timedelta(minutes=5)
#: Longer headers are nobody's.
LONGEST_HEADER = 512


def authenticate(state: State, header: str, now: datetime, *, touch: bool = True) -> Principal:
    """``Bearer <token>`` or ``Session <id>`` as a Principal; AccessError for anything else."""
    scheme, _, secret = header.partition(" ")
    if not secret or len(header) > LONGEST_HEADER:
        raise AccessError("sign in: send Authorization: Bearer <token> or Session <id>")
    if scheme.lower() == "bearer":
        token, role = find_token(state, secret, now)
        return Principal(name=token.user, role=role, via="token", expires_at=token.expires_at)
    if scheme.lower() != "session":
        raise AccessError("sign in: send Authorization: Bearer <token> or Session <id>")
    row, user = find_session(state, secret, now, touch=touch)
    return Principal(
        name=user.name,
        role=Role(user.role),
        via="session",
        csrf=row.csrf,
        authenticated_at=row.authenticated_at,
        expires_at=expires_at(row),
        language=user.language,
        time_zone=user.time_zone,
    )


def require(principal: Principal, permission: Permission) -> None:
    if permission not in principal.permissions:
        raise ForbiddenError(f"the role {principal.role} may not {permission.replace('_', ' ')}")


def require_csrf(principal: Principal, given: str | None) -> None:
    """Unsafe requests of a session repeat its CSRF token; tokens of machines come from no browser."""
    if principal.via == "session" and not secrets.compare_digest(principal.csrf.encode(), (given or "").encode()):
        raise ForbiddenError("the request lacks the session's X-CSRF-Token")


def require_recent_password(principal: Principal, now: datetime, within: timedelta = RECENT) -> None:
    """Step-up for what is risky: a person, who typed the password just now."""
    if principal.authenticated_at is None or now - principal.authenticated_at > within:
        raise ForbiddenError("type your password again to approve this")
