"""Sessions on the server's side: 256-bit ids of which only the hash is kept, idle and absolute limits, a CSRF token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argon2 import PasswordHasher

from watchkeeper.access.lockout import succeed, take_try
from watchkeeper.access.passwords import HASHER, dummy_hash, hash_password, matches
from watchkeeper.access.secrets import hashed, new_secret
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State
from watchkeeper.store.state.repositories.people import Session, User

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
#: A session seen again within this time is not written again.
TOUCH_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    session: str  #: the id, shown once; only its hash is kept
    csrf: str
    user: User

    def __repr__(self) -> str:
        return f"LoggedIn(user={self.user.name!r})"


def log_in(
    state: State,
    name: str,
    password: str,
    *,
    source: str,
    now: datetime,
    previous: str = "",
    hasher: PasswordHasher = HASHER,
) -> LoggedIn:
    """A new session; ``previous`` is the id the browser came with and ends. AccessError, or LockedOutError.

    Unknown, disabled and mistyped take the same time and get the same words.
    """
    user = verify_password(state, name, password, source=source, now=now, hasher=hasher)
    secret, csrf = new_secret(), new_secret()
    row = Session(id_hash=hashed(secret), user=user.name, csrf=csrf, created_at=now, seen_at=now, authenticated_at=now)
    rehashed = hash_password(password, hasher) if hasher.check_needs_rehash(user.password_hash) else None
    with state.begin() as unit:
        current = unit.people.user(user.name)
        if current is None or current.disabled or current.password_hash != user.password_hash:
            raise _refused()  # changed while the password was being checked
        if rehashed is not None:
            unit.people.save_user(replace(current, password_hash=rehashed))
        if previous:
            unit.people.end_session(hashed(previous))
        unit.people.add_session(row)
        unit.audit.append(user.name, "session.start", user.name, {"source": source[:64]}, at=now)
    return LoggedIn(session=secret, csrf=csrf, user=current)


def verify_password(
    state: State, name: str, password: str, *, source: str, now: datetime, hasher: PasswordHasher = HASHER
) -> User:
    """The user, when the password is theirs. Counts failures; AccessError or LockedOutError otherwise."""
    with state.begin() as unit:
        take_try(unit, name, source, now)
        user = unit.people.user(name)
    right = matches(user.password_hash if user else dummy_hash(hasher), password, hasher)
    if user is None or user.disabled or not right:
        with state.begin() as unit:
            unit.audit.append("anonymous", "session.refused", name[:64], {"source": source[:64]}, at=now)
        raise _refused()
    with state.begin() as unit:
        succeed(unit, name, source)
    return user


def confirm_password(
    state: State, session: str, password: str, *, source: str, now: datetime, hasher: PasswordHasher = HASHER
) -> None:
    """Step-up: the person at this session typed the password again just now."""
    row, user = find_session(state, session, now)
    verify_password(state, user.name, password, source=source, now=now, hasher=hasher)
    with state.begin() as unit:
        unit.people.touch_session(row.id_hash, authenticated_at=now, seen_at=now)
        unit.audit.append(user.name, "session.confirm", user.name, {}, at=now)


def find_session(state: State, session: str, now: datetime, *, touch: bool = True) -> tuple[Session, User]:
    """The live session and its user. ``touch=False`` for a page that refreshes itself: that is no activity."""
    with state.read() as unit:
        row = unit.people.session(hashed(session))
        user = unit.people.user(row.user) if row else None
    if row is None or user is None or user.disabled or _over(row, now):
        raise AccessError("the session is over; sign in again")
    if touch and now - row.seen_at >= TOUCH_EVERY:
        with state.begin() as unit:
            unit.people.touch_session(row.id_hash, seen_at=now)
    return row, user


def log_out(state: State, session: str, now: datetime) -> None:
    with state.begin() as unit:
        row = unit.people.session(hashed(session))
        if row is not None:
            unit.people.end_session(row.id_hash)
            unit.audit.append(row.user, "session.end", row.user, {}, at=now)


def end_expired(state: State, now: datetime) -> int:
    """Forget sessions that are over; returns how many."""
    with state.begin() as unit:
        return unit.people.end_sessions_before(now - ABSOLUTE, now - IDLE)


def expires_at(row: Session) -> datetime:
    return min(row.created_at + ABSOLUTE, row.seen_at + IDLE)


def _over(row: Session, now: datetime) -> bool:
    """A clock that ran backwards does not lengthen a life by more than the step."""
    return now >= expires_at(row)


def _refused() -> AccessError:
    return AccessError("name or password is wrong")
