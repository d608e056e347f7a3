"""The first account: a one-time secret, made when there is no user, dead after use."""

from __future__ import annotations

import hmac
from datetime import datetime

from watchkeeper.access.secrets import digest, fresh
from watchkeeper.access.users import create_user
from watchkeeper.errors import AccessError
from watchkeeper.store.state import Unit
from watchkeeper.store.state.repositories.people import User

KEY = "setup_secret"


def setup_needed(unit: Unit) -> bool:
    return unit.people.count_users() == 0


def new_setup_secret(unit: Unit, now: datetime) -> str | None:
    """A fresh secret to print, None when there are users already. Only its hash is stored; the last one dies."""
    if not setup_needed(unit):
        unit.documents.remove(KEY)
        return None
    secret = fresh()
    unit.documents.put(KEY, {"hash": digest(secret)}, at=now)
    return secret


def use_setup_secret(
    unit: Unit, secret: str, name: str, password: str, now: datetime, *, language: str, time_zone: str
) -> User:
    """Make the first administrator. Raises AccessError; the secret is dead afterwards."""
    row = unit.documents.get(KEY)
    if row is None or not setup_needed(unit) or not hmac.compare_digest(row["hash"], digest(secret)):
        raise AccessError("the set-up secret is wrong or was used already")
    user = create_user(unit, name, "admin", password, now, by="setup", language=language, time_zone=time_zone)
    unit.documents.remove(KEY)
    return user
