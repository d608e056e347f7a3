"""The transactional outbox: a message is a row before it is a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from watchkeeper.model import Message, Severity
from watchkeeper.store.state.repositories.common import Repository
from watchkeeper.store.state.repositories.transitions import Transition, Transitions
from watchkeeper.store.state.tables import attachments, outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """``state``: queued, sending, sent, failed (permanently), folded (into a digest that was sent)."""

    id: int
    channel: str
    idempotency_key: str
    state: str
    priority: int  #: 0 first; P0 is 0
    message: Message
    subject_id: str
    created_at: datetime
    next_attempt_at: datetime
    attempts: int
    possible_repeat: bool  #: a crash between send and commit may have delivered it already
    finished_at: datetime | None
    detail: str
    correlation_id: str = ""


class Outbox(Repository):
    def put(
        self, channel: str, key: str, message: Message, *, priority: int, at: datetime, correlation_id: str = ""
    ) -> int | None:
        """Queue once: the same key again is ignored and answers None."""
        if self.connection.execute(select(outbox.c.id).where(outbox.c.idempotency_key == key)).scalar() is not None:
            return None
        row_id = self.connection.execute(
            insert(outbox)
            .values(
                channel=channel,
                idempotency_key=key,
                state="queued",
                priority=priority,
                message=_plain(message),
                subject_id=message.subject_id,
                correlation_id=correlation_id,
                created_at=at,
                next_attempt_at=at,
                attempts=0,
                possible_repeat=False,
                detail="",
            )
            .returning(outbox.c.id)
        ).scalar_one()
        for name, mime, content in message.attachments:
            values = {"outbox_id": row_id, "name": name, "mime": mime, "content": content}
            self.connection.execute(insert(attachments).values(**values))
        self._transition(key, "", "queued", at, f"queued for {channel}", {"outbox": row_id}, correlation_id)
        return int(row_id)

    def due(self, now: datetime, limit: int = 100, channel: str | None = None) -> list[Delivery]:
        """Queued messages whose time has come, most urgent first, oldest first within that."""
        return self._select(
            outbox.c.state == "queued",
            outbox.c.next_attempt_at <= now,
            *([outbox.c.channel == channel] if channel is not None else []),
            order=(outbox.c.priority, outbox.c.id),
            limit=limit,
        )

    def interrupted(self) -> list[Delivery]:
        """Messages that were being sent when the process died."""
        return self._select(outbox.c.state == "sending", order=(outbox.c.id,), limit=10_000)

    def mark(
        self,
        delivery: Delivery,
        state: str,
        *,
        at: datetime,
        detail: str = "",
        retry_at: datetime | None = None,
        possible_repeat: bool | None = None,
    ) -> None:
        """Move a delivery on; ``sending`` counts an attempt, sent, failed and folded finish it."""
        values: dict[str, Any] = {"state": state, "detail": detail}
        if state == "sending":
            values["attempts"] = outbox.c.attempts + 1
        if state in ("sent", "failed", "folded"):
            values["finished_at"] = at
        if retry_at is not None:
            values["next_attempt_at"] = retry_at
        if possible_repeat is not None:
            values["possible_repeat"] = possible_repeat
        self.connection.execute(update(outbox).where(outbox.c.id == delivery.id).values(**values))
        evidence = {"outbox": delivery.id, "channel": delivery.channel}
        self._transition(
            delivery.idempotency_key, delivery.state, state, at, detail or state, evidence, delivery.correlation_id
        )

    def fold(self, deliveries: Sequence[Delivery], into: str, *, at: datetime) -> None:
        """Mark many as folded into one digest, in a few statements."""
        if not deliveries:
            return
        detail = f"folded into {into}"
        for start in range(0, len(deliveries), 500):
            ids = [delivery.id for delivery in deliveries[start : start + 500]]
            values = {"state": "folded", "detail": detail, "finished_at": at}
            self.connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(**values))
        Transitions(self.connection).record_many(
            Transition(
                kind="delivery",
                subject_id=delivery.idempotency_key,
                old_state=delivery.state,
                new_state="folded",
                at=at,
                reason=detail,
                evidence={"outbox": delivery.id, "channel": delivery.channel},
                correlation_id=delivery.correlation_id,
            )
            for delivery in deliveries
        )

    def get(self, delivery_id: int) -> Delivery | None:
        found = self._select(outbox.c.id == delivery_id, order=(outbox.c.id,), limit=1)
        return found[0] if found else None

    def of_subject(self, subject_id: str) -> list[Delivery]:
        return self._select(outbox.c.subject_id == subject_id, order=(outbox.c.id,), limit=1000)

    def recent(self, limit: int = 200) -> list[Delivery]:
        return self._select(order=(outbox.c.id.desc(),), limit=limit)

    def counts(self) -> dict[tuple[str, str], int]:
        """(channel, state) -> messages: the delivery ledger."""
        query = select(outbox.c.channel, outbox.c.state, func.count()).group_by(outbox.c.channel, outbox.c.state)
        return {(channel, state): int(count) for channel, state, count in self.connection.execute(query)}

    def _transition(
        self, key: str, old: str, new: str, at: datetime, reason: str, evidence: Mapping[str, object], chain: str
    ) -> None:
        Transitions(self.connection).record(
            Transition(
                kind="delivery",
                subject_id=key,
                old_state=old,
                new_state=new,
                at=at,
                reason=reason,
                evidence=evidence,
                correlation_id=chain,
            )
        )

    def _select(self, *conditions: Any, order: tuple[Any, ...], limit: int) -> list[Delivery]:
        query = select(outbox).where(*conditions).order_by(*order).limit(limit)
        rows = [dict(row) for row in self.connection.execute(query).mappings()]
        files = self._attachments([row["id"] for row in rows])
        for row in rows:
            row["message"] = _message(row["message"], tuple(files.get(row["id"], ())))
        return [Delivery(**row) for row in rows]

    def _attachments(self, ids: Sequence[int]) -> dict[int, list[tuple[str, str, bytes]]]:
        """Of all these rows in one query: a backlog has thousands of them."""
        found: dict[int, list[tuple[str, str, bytes]]] = {}
        if not ids:
            return found
        query = select(attachments).where(attachments.c.outbox_id.between(min(ids), max(ids)))
        wanted = set(ids)
        for row in self.connection.execute(query.order_by(attachments.c.id)).mappings():
            if row["outbox_id"] in wanted:
                found.setdefault(row["outbox_id"], []).append((row["name"], row["mime"], row["content"]))
        return found


def _plain(message: Message) -> dict[str, Any]:
    return {
        "kind": message.kind,
        "title": message.title,
        "lines": list(message.lines),
        "severity": message.severity,
        "at": message.at,
        "language": message.language,
        "links": dict(message.links),
        "mention_all": message.mention_all,
        "subject_id": message.subject_id,
    }


def _message(values: Mapping[str, Any], files: tuple[tuple[str, str, bytes], ...]) -> Message:
    body = dict(values)
    body["severity"] = Severity(body["severity"]) if body["severity"] else None
    body["lines"] = tuple(body["lines"])
    body["at"] = datetime.fromisoformat(body["at"])
    return Message(**body, attachments=files)
