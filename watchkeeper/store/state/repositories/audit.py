"""The audit trail: append-only, each row bound to the one before it by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from watchkeeper.clock import to_ms
from watchkeeper.store.state.repositories.common import Repository
from watchkeeper.store.state.tables import audit, dump_json

GENESIS = "0" * 64


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


class Audit(Repository):
    def append(self, actor: str, action: str, subject: str, detail: Mapping[str, object], *, at: datetime) -> str:
        """Write one row and return its hash."""
        newest = select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
        previous = self.connection.execute(newest).scalar() or GENESIS
        digest = row_hash(previous, at, actor, action, subject, detail)
        self.connection.execute(
            insert(audit).values(
                at=at,
                actor=actor,
                action=action,
                subject=subject,
                detail=dict(detail),
                previous_hash=previous,
                hash=digest,
            )
        )
        return digest

    def head(self) -> tuple[int, str]:
        """(rows, newest hash): what is sent to a second place so that a cut tail shows."""
        row = self.connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
        return (int(row[0]), str(row[1])) if row else (0, GENESIS)

    def verify(self) -> int | None:
        """None when the chain holds, else the first row that does not fit."""
        previous = GENESIS
        for row in self.rows(limit=None):
            expected = row_hash(previous, row.at, row.actor, row.action, row.subject, row.detail)
            if row.previous_hash != previous or row.hash != expected:
                return row.seq
            previous = row.hash
        return None

    def rows(self, *, subject: str | None = None, limit: int | None = 1000) -> list[AuditRow]:
        """Oldest first."""
        query = select(audit).order_by(audit.c.seq)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        if limit is not None:
            query = query.limit(limit)
        return [AuditRow(**row) for row in self.connection.execute(query).mappings()]

    def newest(self, limit: int = 200) -> list[AuditRow]:
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        return [AuditRow(**row) for row in self.connection.execute(query).mappings()]


def row_hash(previous: str, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, object]) -> str:
    """H(previous hash + canonical JSON of the row)."""
    body = dump_json([to_ms(at), actor, action, subject, dict(detail)])
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()
