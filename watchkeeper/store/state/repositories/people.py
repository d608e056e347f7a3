"""Users, sessions, tokens and failed log-ins as rows; what they mean is decided in watchkeeper/access."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from watchkeeper.store.state.repositories.common import Repository, upsert
from watchkeeper.store.state.tables import login_failures, sessions, tokens, users


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    name: str
    role: str  #: viewer | writer | operator | admin
    password_hash: str
    language: str
    time_zone: str
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id_hash: str  #: SHA-256 of the cookie; the cookie itself is never stored
    user: str
    csrf: str
    created_at: datetime
    seen_at: datetime
    authenticated_at: datetime  #: last time the password was typed: step-up for A3 and A4


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    id_hash: str
    name: str
    user: str
    role: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class People(Repository):
    def save_user(self, user: User) -> None:
        row = _row(user)
        upsert(self.connection, users, {"name": row.pop("name")}, row)

    def user(self, name: str) -> User | None:
        row = self.connection.execute(select(users).where(users.c.name == name)).mappings().first()
        return User(**row) if row else None

    def users(self) -> list[User]:
        return [User(**row) for row in self.connection.execute(select(users).order_by(users.c.name)).mappings()]

    def count_users(self) -> int:
        return int(self.connection.execute(select(func.count()).select_from(users)).scalar_one())

    def add_session(self, session: Session) -> None:
        self.connection.execute(insert(sessions).values(**_row(session)))

    def session(self, id_hash: str) -> Session | None:
        row = self.connection.execute(select(sessions).where(sessions.c.id_hash == id_hash)).mappings().first()
        return Session(**row) if row else None

    def touch_session(self, id_hash: str, **values: datetime) -> None:
        self.connection.execute(update(sessions).where(sessions.c.id_hash == id_hash).values(**values))

    def end_session(self, id_hash: str) -> None:
        self.connection.execute(delete(sessions).where(sessions.c.id_hash == id_hash))

    def end_sessions_of(self, user: str) -> None:
        self.connection.execute(delete(sessions).where(sessions.c.user == user))

    def end_sessions_before(self, created: datetime, seen: datetime) -> int:
        condition = (sessions.c.created_at < created) | (sessions.c.seen_at < seen)
        return self.connection.execute(delete(sessions).where(condition)).rowcount

    def add_token(self, token: Token) -> None:
        self.connection.execute(insert(tokens).values(**_row(token)))

    def token(self, id_hash: str) -> Token | None:
        row = self.connection.execute(select(tokens).where(tokens.c.id_hash == id_hash)).mappings().first()
        return Token(**row) if row else None

    def tokens(self) -> list[Token]:
        rows = self.connection.execute(select(tokens).order_by(tokens.c.created_at)).mappings()
        return [Token(**row) for row in rows]

    def revoke_token(self, id_hash: str, at: datetime) -> None:
        self.connection.execute(update(tokens).where(tokens.c.id_hash == id_hash).values(revoked_at=at))

    def failures(self, account: str, source: str) -> tuple[int, datetime | None]:
        query = select(login_failures.c.failures, login_failures.c.last_at)
        query = query.where(login_failures.c.account == account, login_failures.c.source == source)
        row = self.connection.execute(query).first()
        return (int(row[0]), row[1]) if row else (0, None)

    def note_failure(self, account: str, source: str, at: datetime) -> None:
        count, _ = self.failures(account, source)
        key = {"account": account, "source": source}
        upsert(self.connection, login_failures, key, {"failures": count + 1, "last_at": at})

    def forget_failures(self, account: str, source: str) -> None:
        condition = (login_failures.c.account == account) & (login_failures.c.source == source)
        self.connection.execute(delete(login_failures).where(condition))


def _row(item: Any) -> dict[str, Any]:
    return {part.name: getattr(item, part.name) for part in fields(item)}
