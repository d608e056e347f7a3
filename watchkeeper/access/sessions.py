"""Server-side sessions: random ids, stored as hashes, ended when idle, old, or when the user changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.access.lockout import check, forget, note
from watchkeeper.access.passwords import verify_password
from watchkeeper.access.roles import Principal
from watchkeeper.access.secrets import digest, fresh
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State, Unit
from watchkeeper.store.state.repositories.people import Session, User

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
#: ``seen_at`` is written at most this often, so that reading does not mean writing.
TOUCH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    session: str  #: goes into the cookie, never stored
    csrf: str
    user: User


def login(state: State, name: str, password: str, source: str, now: datetime) -> SignedIn:
    """A new session. Raises AccessError (wrong name or password) or LockedError (wait)."""
    with state.read() as unit:
        check(unit, name, source, now)
        user = unit.people.user(name)
    fits = verify_password(user.password_hash if user else None, password)  # slow on purpose, outside any transaction
    with state.begin() as unit:
        if user is None or not fits or user.disabled:
            note(unit, name, source, now)
            unit.audit.append(name[:80], "login_failed", source, {}, at=now)
            failed = True
        else:
            failed = False
            forget(unit, name, source)
            signed = _open(unit, user, now)
            unit.audit.append(name, "login", source, {}, at=now)
    if failed:
        raise AccessError("the name or the password is wrong")
    return signed


def _open(unit: Unit, user: User, now: datetime) -> SignedIn:
    session, csrf = fresh(), fresh()
    unit.people.add_session(
        Session(id_hash=digest(session), user=user.name, csrf=csrf, created_at=now, seen_at=now, authenticated_at=now)
    )
    return SignedIn(session=session, csrf=csrf, user=user)


def logout(unit: Unit, session: str) -> None:
    unit.people.end_session(digest(session))


def session_principal(state: State, session: str, now: datetime) -> tuple[Principal, User, Session]:
    """Who the session belongs to. Raises AccessError when it is unknown, idle, too old or its user disabled."""
    with state.read() as unit:
        row = unit.people.session(digest(session))
        user = unit.people.user(row.user) if row else None
    if row is None or user is None or user.disabled or not alive(row, now):
        raise AccessError("the session has ended; sign in again")
    if now - row.seen_at >= TOUCH:
        with state.begin() as unit:
            unit.people.touch_session(row.id_hash, seen_at=now)
    principal = Principal(
        name=user.name, role=user.role, via="session", csrf=row.csrf, authenticated_at=row.authenticated_at
    )
    return principal, user, row


def alive(row: Session, now: datetime) -> bool:
    """Neither idle nor too old; a session from the future (the clock was set back) is dead too."""
    return timedelta(0) <= now - row.created_at < ABSOLUTE and now - row.seen_at < IDLE


def expires_at(row: Session) -> datetime:
    return min(row.seen_at + IDLE, row.created_at + ABSOLUTE)
