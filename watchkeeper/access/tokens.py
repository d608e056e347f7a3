"""Tokens for machines: hashed, with a role, an end and a way to take them back."""

from __future__ import annotations

from datetime import datetime, timedelta

from watchkeeper.access.roles import ROLES, Principal
from watchkeeper.access.secrets import digest, fresh
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State, Unit
from watchkeeper.store.state.repositories.people import Token

LONGEST = timedelta(days=90)


def new_token(unit: Unit, name: str, user: str, role: str, now: datetime, *, lifetime: timedelta = LONGEST) -> str:
    """A fresh token, shown once. A token is never stronger than ``role`` and lives 90 days at most."""
    if role not in ROLES:
        raise AccessError(f"the role must be one of {', '.join(ROLES)}")
    if not timedelta(0) < lifetime <= LONGEST:
        raise AccessError("a token lives between a moment and 90 days")
    value = fresh()
    unit.people.add_token(
        Token(id_hash=digest(value), name=name, user=user, role=role, created_at=now, expires_at=now + lifetime)
    )
    unit.audit.append(user, "new_token", name, {"role": role}, at=now)
    return value


def token_principal(state: State, value: str, now: datetime) -> Principal:
    """Who a token stands for. Raises AccessError when it is unknown, over or revoked, or its user is disabled."""
    with state.read() as unit:
        row = unit.people.token(digest(value))
        user = unit.people.user(row.user) if row else None
    dead = row is None or row.revoked_at is not None or not row.created_at <= now < row.expires_at
    if dead or row is None or (user is not None and user.disabled):
        raise AccessError("the token is unknown, over or revoked")
    return Principal(name=row.user, role=row.role, via="token")
