"""Argo CD's notifications, with the template of docs/events.md: a sync that runs, and how it ended.

https://argo-cd.readthedocs.io/en/stable/operator-manual/notifications/services/webhook/
"""

from __future__ import annotations

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.hooks.read import Hook, Told, at, event, first, moment, status, text
from watchkeeper.wire.hooks.signature import ours_or_secret


def read(told: Told) -> list[Event]:
    data, phase = told.data, text(told.data, "phase")
    found = status(phase)
    if found is None or not text(data, "app"):
        return []
    finished = moment(at(data, "finished_at"))
    start = moment(at(data, "started_at")) or finished or told.now
    return [
        event(
            told,
            EventKind.DEPLOY,
            f"sync {text(data, 'app')} to {text(data, 'revision')[:12]}: {phase}",
            status=found,
            service=text(data, "app"),
            environment=first(text(data, "environment"), text(data, "namespace")),
            start=start,
            end=None if found is EventStatus.RUNNING else max(start, finished or told.now),
            version=text(data, "revision"),
            actor=text(data, "actor"),
            link=text(data, "url"),
            labels={"health": text(data, "health"), "sync": text(data, "sync")},
            delivery=f"{text(data, 'app')}/{text(data, 'revision')}/{phase}/{text(data, 'started_at')}",
        )
    ]


HOOK = Hook(ours_or_secret, read)
