"""Named accounts: made, changed, disabled; each change ends the sessions it concerns."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from zoneinfo import available_timezones

from watchkeeper.access.passwords import hash_password
from watchkeeper.access.roles import ROLES
from watchkeeper.errors import AccessError
from watchkeeper.store.state import Unit
from watchkeeper.store.state.repositories.people import User

LANGUAGES = ("zh-CN", "en")
_NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff._@-]{0,63}")


def create_user(
    unit: Unit,
    name: str,
    role: str,
    password: str,
    now: datetime,
    *,
    by: str,
    language: str = "zh-CN",
    time_zone: str = "Asia/Shanghai",
) -> User:
    """A new account. Raises AccessError when the name is taken or anything is not as it must be."""
    if not _NAME.fullmatch(name):
        raise AccessError("the name must be 1 to 64 letters, digits or . _ @ -")
    if role not in ROLES:
        raise AccessError(f"the role must be one of {', '.join(ROLES)}")
    if unit.people.user(name) is not None:
        raise AccessError(f"the name {name!r} is taken")
    check_preferences(language, time_zone)
    user = User(
        name=name,
        role=role,
        password_hash=hash_password(password, name=name),
        language=language,
        time_zone=time_zone,
        disabled=False,
        created_at=now,
    )
    unit.people.save_user(user)
    unit.audit.append(by, "create_user", name, {"role": role}, at=now)
    return user


def change_user(
    unit: Unit,
    name: str,
    now: datetime,
    *,
    by: str,
    role: str | None = None,
    disabled: bool | None = None,
    password: str | None = None,
) -> User:
    """Change an account and end its sessions. The last active administrator cannot be taken away."""
    user = unit.people.user(name)
    if user is None:
        raise AccessError(f"there is no user {name!r}")
    changed = replace(
        user,
        role=user.role if role is None else role,
        disabled=user.disabled if disabled is None else disabled,
        password_hash=user.password_hash if password is None else hash_password(password, name=name),
    )
    if changed.role not in ROLES:
        raise AccessError(f"the role must be one of {', '.join(ROLES)}")
    if not _admins(unit, changed):
        raise AccessError("this is the last administrator; make another one first")
    unit.people.save_user(changed)
    unit.people.end_sessions_of(name)
    detail = {"role": changed.role, "disabled": changed.disabled, "password": password is not None}
    unit.audit.append(by, "change_user", name, detail, at=now)
    return changed


def _admins(unit: Unit, changed: User) -> bool:
    rows = [changed if row.name == changed.name else row for row in unit.people.users()]
    return any(row.role == "admin" and not row.disabled for row in rows)


def set_preferences(unit: Unit, name: str, *, language: str | None, time_zone: str | None) -> User:
    user = unit.people.user(name)
    if user is None:
        raise AccessError(f"there is no user {name!r}")
    changed = replace(user, language=language or user.language, time_zone=time_zone or user.time_zone)
    check_preferences(changed.language, changed.time_zone)
    unit.people.save_user(changed)
    return changed


def check_preferences(language: str, time_zone: str) -> None:
    if language not in LANGUAGES:
        raise AccessError(f"the language must be one of {', '.join(LANGUAGES)}")
    if time_zone not in available_timezones():
        raise AccessError(f"{time_zone!r} is not a time zone")
