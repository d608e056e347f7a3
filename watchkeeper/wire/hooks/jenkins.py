"""Jenkins's Notification plugin: a build that started, and how it ended. https://plugins.jenkins.io/notification/

A job deploys when its name says so or when it has a parameter ENVIRONMENT; anything else is a stage of a change.
"""

from __future__ import annotations

import re
from datetime import timedelta

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.hooks.read import Hook, Told, at, event, first, moment, rows, status, text
from watchkeeper.wire.hooks.signature import ours_or_secret

DEPLOYS = re.compile(r"deploy|release|rollout|发布|上线", re.IGNORECASE)
#: How a build begins, and how it ends with everything that follows it. COMPLETED lies between them.
PHASES = ("STARTED", "FINALIZED")


def read(told: Told) -> list[Event]:
    data, build = told.data, at(told.data, "build")
    phase, name = text(build, "phase"), text(data, "name")
    found = EventStatus.RUNNING if phase == "STARTED" else status(text(build, "status"))
    if phase not in PHASES or found is None:
        return []
    start = moment(at(build, "timestamp")) or told.now
    environment = text(build, "parameters", "ENVIRONMENT")
    deploys = bool(environment or DEPLOYS.search(name))
    return [
        event(
            told,
            EventKind.DEPLOY if deploys else EventKind.CHANGE,
            f"{first(text(data, 'display_name'), name)} #{text(build, 'number')}: {text(build, 'status') or phase}",
            status=found,
            service=first(text(build, "parameters", "SERVICE"), name),
            environment=environment,
            start=start,
            end=None if found is EventStatus.RUNNING else start + _lasted(at(build, "duration")),
            version=first(text(build, "parameters", "VERSION"), text(build, "scm", "commit")),
            actor=", ".join(str(one) for one in rows(build, "scm", "culprits"))[:200],
            link=text(build, "full_url"),
            labels={"ref": text(build, "scm", "branch"), "stage": "" if deploys else name},
            delivery=f"{name}/{text(build, 'number')}/{phase}/{text(build, 'timestamp')}",
        )
    ]


def _lasted(duration_ms: object) -> timedelta:
    known = isinstance(duration_ms, int | float) and not isinstance(duration_ms, bool) and 0 <= duration_ms < 1e10
    return timedelta(milliseconds=float(duration_ms)) if known else timedelta()  # type: ignore[arg-type]  # it is known


HOOK = Hook(ours_or_secret, read)
