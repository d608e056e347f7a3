"""Something that happened or is planned, told from outside or found by the engine: a deploy, a backup, a freeze."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    DEPLOY = "deploy"
    CHANGE = "change"
    CONFIG_CHANGE = "config_change"
    BACKUP = "backup"
    RESTORE_DRILL = "restore_drill"
    PATCH = "patch"
    LOAD_TEST = "load_test"
    SECURITY_FINDING = "security_finding"
    CALENDAR = "calendar"
    FREEZE = "freeze"  #: nothing is to be changed meanwhile
    ALERT = "alert"  #: of another alerting system


class EventStatus(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: Kinds that change a running service: what breaks soon afterwards may be their doing.
CHANGES = (EventKind.DEPLOY, EventKind.CHANGE, EventKind.CONFIG_CHANGE, EventKind.PATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row, never changed: how a deploy ends is another row. Empty text is "not said"."""

    kind: EventKind
    title: str
    start: datetime
    end: datetime | None = None  #: none: a moment, or not over yet
    status: EventStatus = EventStatus.OK
    service: str = ""
    environment: str = ""
    version: str = ""  #: of the software: a tag or a commit
    actor: str = ""
    link: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str = ""  #: webhook or user that told it
    delivery: str = ""  #: what a repetition of the same telling has too; unique within its source
    payload: Mapping[str, Any] = field(default_factory=dict)  #: what was told, cut and without secrets
    id: str = ""
    received_at: datetime | None = None
