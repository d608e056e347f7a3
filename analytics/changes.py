"""Deploys put together from their events, the four DORA figures, and changes outside their windows.

DORA: deployment frequency, lead time for changes, change failure rate, time to restore (Forsgren, Humble, Kim,
*Accelerate*, 2018). What cannot be known is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from statistics import median
from typing import Protocol
from zoneinfo import ZoneInfo

from watchkeeper.model import Event, EventKind, EventStatus, Incident

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Labels of a commit that tell when it was made, where no push told it.
COMMITTED = "committed_at"
OVER = (EventStatus.OK, EventStatus.FAILED, EventStatus.CANCELLED)


class Window(Protocol):
    """When changes are allowed; `watchkeeper.config.events.Window` is one."""

    @property
    def days(self) -> Sequence[str]: ...
    @property
    def start(self) -> time: ...
    @property
    def end(self) -> time: ...
    @property
    def services(self) -> Sequence[str]: ...
    @property
    def environments(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deploy, or one stage of a pipeline, from its first event to its last."""

    service: str
    environment: str
    version: str
    stage: str  #: empty: the deploy itself
    status: EventStatus
    start: datetime
    end: datetime | None  #: none: under way
    event: Event  #: the newest of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Dora:
    """Over one window. Seconds are medians."""

    deployments: int
    per_day: float
    lead_time_seconds: float | None
    failure_ratio: float | None
    recovery_seconds: float | None


def deployments(events: Iterable[Event]) -> list[Deployment]:
    """Deploys and stages, oldest start first, put together by service, environment, stage, version and number."""
    found: dict[tuple[str, ...], list[Event]] = {}
    done: list[list[Event]] = []
    for one in sorted(events, key=lambda each: (each.start, each.received_at or each.start)):
        stage = one.labels.get("stage", "")
        if one.kind is not EventKind.DEPLOY and not (stage and one.kind is EventKind.CHANGE):
            continue
        key = (one.service, one.environment, stage, one.version, one.labels.get("deployment", ""))
        found.setdefault(key, []).append(one)
        if one.status in OVER:
            done.append(found.pop(key))
    return sorted((_deployment(rows) for rows in [*done, *found.values()]), key=lambda one: one.start)


def _deployment(rows: Sequence[Event]) -> Deployment:
    last = rows[-1]
    return Deployment(
        service=last.service,
        environment=last.environment,
        version=last.version,
        stage=last.labels.get("stage", ""),
        status=last.status,
        start=min(one.start for one in rows),
        end=(last.end or last.start) if last.status in OVER else None,
        event=last,
    )


def dora(
    events: Sequence[Event],
    incidents: Sequence[Incident],
    *,
    now: datetime,
    window: timedelta,
    production: Sequence[str],
    blame: timedelta,
) -> Dora:
    """The four figures of these events' deploys to production that ended within ``window`` before ``now``."""
    since = now - window
    over = [
        one
        for one in deployments(events)
        if not one.stage and one.environment in production and one.status in (EventStatus.OK, EventStatus.FAILED)
        if one.end is not None and since <= one.end <= now
    ]
    good = [one for one in over if one.status is EventStatus.OK]
    leads = [lead for one in good if (lead := lead_time(one, events)) is not None]
    blamed = {id(one): caused(one, incidents, blame) for one in over}
    failed = [one for one in over if one.status is EventStatus.FAILED or blamed[id(one)]]
    repaired = {
        each.id: (each.resolved_at - each.opened_at).total_seconds()
        for found in blamed.values()
        for each in found
        if each.resolved_at is not None
    }
    again = [wait for one in over if one.status is EventStatus.FAILED and (wait := _next_good(one, over)) is not None]
    waits = [*repaired.values(), *again]
    return Dora(
        deployments=len(good),
        per_day=len(good) / (window / timedelta(days=1)),
        lead_time_seconds=median(leads) if leads else None,
        failure_ratio=len(failed) / len(over) if over else None,
        recovery_seconds=median(waits) if waits else None,
    )


def lead_time(one: Deployment, events: Iterable[Event]) -> float | None:
    """Seconds from the commit to production; None when nobody told of the commit."""
    if one.end is None:
        return None
    said = one.event.labels.get(COMMITTED, "")
    times = [each.start for each in events if _commit_of(each, one)]
    try:
        times += [datetime.fromisoformat(said)] if said else []
        began = min(times, default=None)
        return None if began is None else max((one.end - began).total_seconds(), 0.0)
    except (ValueError, TypeError):  # no time, or one without a zone
        return None


def _commit_of(event: Event, one: Deployment) -> bool:
    """A push of this version; short commit names are beginnings of long ones."""
    if event.labels.get("stage") != "commit" or event.service != one.service or len(one.version) < 7:
        return False
    return event.version.startswith(one.version) or (len(event.version) >= 7 and one.version.startswith(event.version))


def caused(one: Deployment, incidents: Iterable[Incident], blame: timedelta) -> list[Incident]:
    """Incidents of the service opened soon after it began. P3 are remarks; those about changes are no effects."""
    return [
        each
        for each in incidents
        if each.labels.get("service") == one.service and each.severity != "P3"
        if each.labels.get("family") != "change"
        if one.start <= each.opened_at <= (one.end or one.start) + blame
    ]


def _next_good(one: Deployment, over: Iterable[Deployment]) -> float | None:
    """Seconds from a deploy that failed to the next good one of the same service and environment."""
    ends = [
        each.end
        for each in over
        if (each.service, each.environment, each.status) == (one.service, one.environment, EventStatus.OK)
        if each.end is not None and one.end is not None and each.end >= one.end
    ]
    return (min(ends) - one.end).total_seconds() if ends and one.end is not None else None


def outside(event: Event, windows: Iterable[Window], freezes: Iterable[Event], zone: ZoneInfo) -> str:
    """``freeze`` or ``window`` for a change that was not to be made then; empty when it was in order."""
    if any(_forbids(freeze, event) for freeze in freezes):
        return "freeze"
    fitting = [
        one
        for one in windows
        if (not one.services or event.service in one.services)
        and (not one.environments or event.environment in one.environments)
    ]
    return "" if not fitting or any(_within(event.start.astimezone(zone), one) for one in fitting) else "window"


def _forbids(freeze: Event, event: Event) -> bool:
    meant = freeze.service in ("", event.service) and freeze.environment in ("", event.environment)
    return meant and freeze.start <= event.start and (freeze.end is None or event.start < freeze.end)


def _within(at: datetime, window: Window) -> bool:
    """A window that ends before it starts belongs to the day on which it opens."""
    today, before = DAYS[at.weekday()], DAYS[at.weekday() - 1]
    days, clock = window.days or DAYS, at.time()
    if window.start < window.end:
        return today in days and window.start <= clock < window.end
    return (today in days and clock >= window.start) or (before in days and clock < window.end)


def blamed_changes(
    events: Iterable[Event], at: datetime, service: str, needs: Sequence[str], blame: timedelta
) -> list[tuple[Event, str]]:
    """Changes soon before ``at`` of this service, then of what it depends on, newest first, each with whose it is.

    A change that was told several times, as its beginning and its end, is there once, as it was told last.
    """
    near = {service, *needs} - {""}
    found = [
        one
        for one in events
        if one.service in near and one.status not in (EventStatus.PLANNED, EventStatus.CANCELLED)
        if at - blame <= (one.end or one.start) and one.start <= at
    ]
    found.sort(key=lambda one: one.start, reverse=True)
    found.sort(key=lambda one: one.service != service)
    once: dict[tuple[str, ...], Event] = {}
    for one in found:
        once.setdefault((one.kind, one.service, one.environment, one.version or one.title, stage_of(one)), one)
    return [(one, "own" if one.service == service else "dependency") for one in once.values()]


def stage_of(one: Event) -> str:
    """The stage of a pipeline that it tells of; empty: the whole."""
    return one.labels.get("stage", "")
