"""The one guard: an Authorization header becomes a principal, or nothing happens."""

from __future__ import annotations

from datetime import datetime

from watchkeeper.access.roles import Principal
from watchkeeper.access.sessions import session_principal
from watchkeeper.access.tokens import token_principal
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State

#: Longer credentials are refused unread.
MAX_LENGTH = 200


def authenticate(state: State, header: str, now: datetime) -> Principal:
    """``Bearer <token>`` or ``Session <id>``. Raises AccessError."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if not value or len(value) > MAX_LENGTH:
        raise AccessError("sign in, or send a token")
    if scheme.lower() == "bearer":
        return token_principal(state, value, now)
    if scheme.lower() == "session":
        return session_principal(state, value, now)[0]
    raise AccessError("sign in, or send a token")
