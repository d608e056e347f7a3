"""The first administrator: no default account, one secret that works once."""

from __future__ import annotations

import secrets
from datetime import datetime

from argon2 import PasswordHasher

from watchkeeper.access.errors import ForbiddenError
from watchkeeper.access.passwords import HASHER
from watchkeeper.access.roles import Role
from watchkeeper.access.secrets import hashed, new_secret
from watchkeeper.access.users import new_user
from watchkeeper.store.state import State

#: Document that holds the hash of the secret while it is needed.
KEY = "access/setup"


def setup_needed(state: State) -> bool:
    with state.read() as unit:
        return unit.people.count_users() == 0


def new_setup_secret(state: State, now: datetime) -> str | None:
    """A fresh secret for the caller to print, None when users exist. The one before it stops working."""
    secret = new_secret()
    with state.begin() as unit:
        if unit.people.count_users():
            unit.documents.remove(KEY)
            return None
        unit.documents.put(KEY, hashed(secret), at=now)
        unit.audit.append("engine", "setup.secret", "setup", {}, at=now)
    return secret


def finish_setup(
    state: State,
    secret: str,
    name: str,
    password: str,
    *,
    language: str,
    time_zone: str,
    now: datetime,
    hasher: PasswordHasher = HASHER,
) -> str:
    """Make the first administrator and return the name. ForbiddenError when the secret is wrong or was used."""
    with state.read() as unit:
        _check(unit.documents.get(KEY), secret)  # before the slow hash: strangers get no work out of us
    user = new_user(name, Role.ADMIN, password, language=language, time_zone=time_zone, now=now, hasher=hasher)
    with state.begin() as unit:
        _check(unit.documents.get(KEY) if unit.people.count_users() == 0 else None, secret)
        unit.documents.remove(KEY)
        unit.people.save_user(user)
        unit.audit.append(name, "setup.finish", name, {"role": user.role}, at=now)
    return name


def _check(stored: object, secret: str) -> None:
    if not isinstance(stored, str) or not secrets.compare_digest(stored, hashed(secret)):
        raise ForbiddenError("the set-up secret is wrong or was used already; restart the engine to get a new one")
