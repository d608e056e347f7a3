"""The audit trail: append-only, each row bound to the one before it by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, Text, insert, or_, select, text, type_coerce

from watchkeeper.clock import to_ms
from watchkeeper.store.state.repositories.common import Repository
from watchkeeper.store.state.tables import audit, dump_json

GENESIS = "0" * 64

#: Rows without any reading of their values, so that whatever an edit left there breaks the chain and nothing else.
_AS_STORED = (
    select(
        audit.c.seq,
        type_coerce(audit.c.at, BigInteger),
        type_coerce(audit.c.actor, Text),
        type_coerce(audit.c.action, Text),
        type_coerce(audit.c.subject, Text),
        type_coerce(audit.c.detail, Text),
        type_coerce(audit.c.previous_hash, Text),
        type_coerce(audit.c.hash, Text),
    )
    .order_by(audit.c.seq)
    .execution_options(yield_per=1000)
)
_NEWEST = select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
_ROW = insert(audit)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows are asked for; what is empty asks for nothing."""

    actor: str = ""
    action: str = ""  #: how it begins: ``action.`` are all steps of actions
    text: str = ""  #: somewhere in subject or detail, whatever its case
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None  #: rows of a lower number alone: the next page

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.actor:
            yield audit.c.actor == self.actor
        if self.action:
            yield audit.c.action.startswith(self.action, autoescape=True)
        if self.text:
            places = (type_coerce(audit.c.subject, Text), type_coerce(audit.c.detail, Text))
            yield or_(*(place.icontains(self.text, autoescape=True) for place in places))
        if self.since is not None:
            yield audit.c.at >= self.since
        if self.until is not None:
            yield audit.c.at < self.until
        if self.before is not None:
            yield audit.c.seq < self.before


class Audit(Repository):
    def append(self, actor: str, action: str, subject: str, detail: Mapping[str, object], *, at: datetime) -> str:
        """Write one row and return its hash."""
        if self.connection.dialect.name == "postgresql":  # two engines never fork the chain
            self.connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('watchkeeper.audit'))"))
        previous = self.connection.execute(_NEWEST).scalar() or GENESIS
        digest = row_hash(previous, [to_ms(at), actor, action, subject], dump_json(detail))
        row = {"at": at, "actor": actor, "action": action, "subject": subject, "detail": dict(detail)}
        self.connection.execute(_ROW, {**row, "previous_hash": previous, "hash": digest})
        return digest

    def head(self) -> tuple[int, str]:
        """(newest row, its hash): what is sent to a second place so that a cut tail shows."""
        row = self.connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
        return (int(row[0]), str(row[1])) if row else (0, GENESIS)

    def verify(self, head: tuple[int, str] | None = None) -> int | None:
        """None when the chain holds, else the first row that does not fit.

        ``head`` is one remembered elsewhere: its row must still be there, which a cut or rewritten tail fails.
        """
        previous = GENESIS
        with self.connection.execute(_AS_STORED) as rows:
            for seq, at, actor, action, subject, detail, stated, digest in rows:
                if stated != previous or digest != row_hash(previous, [at, actor, action, subject], detail):
                    return int(seq)
                previous = digest
        return None if head is None or self.remembers(head) else head[0]

    def remembers(self, head: tuple[int, str]) -> bool:
        """True when the row of an earlier ``head()`` is still there with the same hash."""
        if head == (0, GENESIS):
            return True
        found = self.connection.execute(select(audit.c.hash).where(audit.c.seq == head[0])).scalar()
        return bool(found == head[1])

    def rows(self, *, subject: str | None = None, limit: int | None = 1000) -> list[AuditRow]:
        """Oldest first."""
        query = select(audit).order_by(audit.c.seq)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        if limit is not None:
            query = query.limit(limit)
        return [AuditRow(**row) for row in self.connection.execute(query).mappings()]

    def newest(self, limit: int = 200, wanted: Wanted | None = None) -> list[AuditRow]:
        """Newest first, of those that are wanted."""
        query = select(audit).where(*(wanted.conditions() if wanted else ())).order_by(audit.c.seq.desc()).limit(limit)
        return [AuditRow(**row) for row in self.connection.execute(query).mappings()]


def row_hash(previous: str, facts: Sequence[object], detail: str) -> str:
    """H(previous hash + canonical JSON of the row). ``detail`` is the JSON text as stored."""
    return hashlib.sha256(f"{previous}\n{dump_json(facts)}\n{detail}".encode()).hexdigest()
