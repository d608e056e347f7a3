"""Rows as JSON: the shapes of docs/api.md. Unknown numbers are null, times ISO-8601 in UTC."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from watchkeeper.model import ActionRecord, Alert, Event, Incident
from watchkeeper.store.state import Delivery, Transition

Json = dict[str, Any]


def number(value: float | None) -> float | None:
    """A finite number or null."""
    return None if value is None or not math.isfinite(value) else float(value)


def numbers(values: Iterable[float]) -> list[float | None]:
    return [number(value) for value in values]


def pairs(times: Any, values: Any) -> list[list[float | None]]:
    """[[ms, value or null], ...] for charts."""
    return [
        [int(when), value if math.isfinite(value) else None]
        for when, value in zip(np.asarray(times).tolist(), np.asarray(values, dtype=float).tolist(), strict=True)
    ]


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Any row value as JSON: times as text, NaN as null, tuples as lists."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def record(row: Any) -> Json | None:
    """A row of a dataclass whose fields are all for people; None stays None."""
    return None if row is None else plain(asdict(row))


def incident(row: Incident, *, alerts: int, actions: int) -> Json:
    names = (
        "id", "state", "severity", "title", "labels", "opened_at", "acknowledged_at", "acknowledged_by",
        "mitigated_at", "resolved_at", "respond_by", "start_by", "correlation_id", "details",
    )  # fmt: skip
    return {**{name: plain(getattr(row, name)) for name in names}, "alerts": alerts, "actions": actions}


def event(row: Event) -> Json:
    names = (
        "id", "kind", "status", "title", "service", "environment", "start", "end", "version", "actor", "link", "labels",
        "source", "received_at",
    )  # fmt: skip
    return {name: plain(getattr(row, name)) for name in names}


def alert(row: Alert) -> Json:
    names = (
        "id", "rule", "group", "state", "severity", "labels", "annotations", "value", "active_at", "fired_at",
        "resolved_at", "expr", "incident_id", "correlation_id",
    )  # fmt: skip
    return {name: plain(getattr(row, name)) for name in names}


def transition(row: Transition) -> Json:
    names = ("at", "kind", "subject_id", "old_state", "new_state", "reason", "evidence", "actor")
    return {name: plain(getattr(row, name)) for name in names}


def delivery(row: Delivery) -> Json:
    return {
        "channel": row.channel,
        "state": row.state,
        "kind": row.message.kind,
        "title": row.message.title,
        "at": moment(row.finished_at or row.created_at),
        "detail": row.detail,
        "possible_repeat": row.possible_repeat,
    }


def action(row: ActionRecord, *, approvals: Sequence[Json], needs: int) -> Json:
    plan = row.plan
    return {
        "id": row.id,
        "state": row.state,
        "mode": plan.mode,
        "risk": plan.risk,
        "rule": plan.rule,
        "action": plan.action,
        "targets": [target.name for target in plan.targets],
        "reason": plan.reason,
        "incident_id": plan.incident_id,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "plan_hash": plan.digest(),
        "verdicts": plain(row.progress.get("verdicts", [])),
        "progress": plain({key: value for key, value in row.progress.items() if key != "verdicts"}),
        "needs": needs,
        "approvals": list(approvals),
        "plan": plain(plan.body()),
        "correlation_id": row.correlation_id,
    }
