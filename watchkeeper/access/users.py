"""Users: made, changed and switched off; whatever lowers trust ends their sessions at once."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from argon2 import PasswordHasher

from watchkeeper.access.errors import ForbiddenError, UnknownUserError, WeakPasswordError
from watchkeeper.access.passwords import HASHER, check_password, hash_password
from watchkeeper.access.roles import Role, parse_role
from watchkeeper.clock import time_zones
from watchkeeper.person import Person
from watchkeeper.store.state import State, Unit
from watchkeeper.store.state.repositories.people import User

LANGUAGES = ("zh-CN", "en")
#: No colon: names of the engine's own tokens have one.
_NAME = re.compile(r"[\w.@-]{1,64}")


def new_user(
    name: str,
    role: Role,
    password: str,
    *,
    language: str,
    time_zone: str,
    now: datetime,
    hasher: PasswordHasher = HASHER,
) -> User:
    """A checked user, not yet kept. Slow on purpose (argon2id): call it outside a transaction."""
    if not _NAME.fullmatch(name):
        raise WeakPasswordError("a user name has 1 to 64 letters, digits and . _ - @")
    check_password(password, name)
    _check_preferences(language, time_zone)
    return User(
        name=name,
        role=role,
        password_hash=hash_password(password, hasher),
        language=language,
        time_zone=time_zone,
        disabled=False,
        created_at=now,
    )


def create_user(state: State, user: User, *, actor: str, now: datetime) -> None:
    """Keep a user made by ``new_user``. Names differ by more than upper and lower case."""
    with state.begin() as unit:
        if any(found.name.casefold() == user.name.casefold() for found in unit.people.users()):
            raise WeakPasswordError(f"a user named {user.name!r} exists already")
        unit.people.save_user(user)
        unit.audit.append(actor, "user.create", user.name, {"role": user.role}, at=now)


def set_role(state: State, name: str, role: str, *, actor: str, now: datetime) -> None:
    """Change what a user may do and end the sessions that still could do otherwise."""
    wanted = parse_role(role)
    with state.begin() as unit:
        user = existing(unit, name)
        _keep_an_admin(unit, user, stays=wanted is Role.ADMIN)
        _change(unit, replace(user, role=wanted), actor, "user.role", {"old": user.role, "new": wanted}, now)


def set_disabled(state: State, name: str, disabled: bool, *, actor: str, now: datetime) -> None:  # noqa: FBT001
    """Lock a user out of everything, or let them in again."""
    with state.begin() as unit:
        user = existing(unit, name)
        _keep_an_admin(unit, user, stays=not disabled)
        _change(unit, replace(user, disabled=disabled), actor, "user.disable", {"disabled": disabled}, now)


def set_password(
    state: State, name: str, password: str, *, actor: str, now: datetime, hasher: PasswordHasher = HASHER
) -> None:
    check_password(password, name)
    stored = hash_password(password, hasher)
    with state.begin() as unit:
        _change(unit, replace(existing(unit, name), password_hash=stored), actor, "user.password", {}, now)


def set_preferences(
    state: State, name: str, *, language: str | None = None, time_zone: str | None = None, now: datetime
) -> None:
    """Language and zone of pages; sessions go on."""
    with state.begin() as unit:
        user = existing(unit, name)
        changed = replace(user, language=language or user.language, time_zone=time_zone or user.time_zone)
        _check_preferences(changed.language, changed.time_zone)
        unit.people.save_user(changed)
        detail = {"language": changed.language, "time_zone": changed.time_zone}
        unit.audit.append(name, "user.preferences", name, detail, at=now)


def remove_accounts(unit: Unit, names: list[str], person: Person, *, caller: str) -> None:
    """Accounts of one person with their sessions and tokens. Raises ForbiddenError for the caller's and the last admin.

    The row of the audit is the caller's to write: it names nobody.
    """
    for name in names:
        if name == caller:
            raise ForbiddenError("this is your own account; let another administrator erase it")
        _keep_an_admin(unit, existing(unit, name), stays=False)
    unit.persons.remove_accounts(names, person)


def existing(unit: Unit, name: str) -> User:
    user = unit.people.user(name)
    if user is None:
        raise UnknownUserError(f"there is no user named {name[:64]!r}")
    return user


def _change(unit: Unit, user: User, actor: str, action: str, detail: dict[str, object], now: datetime) -> None:
    unit.people.save_user(user)
    unit.people.end_sessions_of(user.name)
    unit.audit.append(actor, action, user.name, detail, at=now)


def _keep_an_admin(unit: Unit, user: User, *, stays: bool) -> None:
    others = [found for found in unit.people.users() if found.role == Role.ADMIN and not found.disabled]
    if not stays and [found.name for found in others] == [user.name]:
        raise ForbiddenError(f"{user.name} is the last administrator; make another one first")


def _check_preferences(language: str, time_zone: str) -> None:
    if language not in LANGUAGES:
        raise WeakPasswordError(f"language must be one of {', '.join(LANGUAGES)}")
    if time_zone not in time_zones():
        raise WeakPasswordError("time zone must be one like Asia/Shanghai or UTC")
