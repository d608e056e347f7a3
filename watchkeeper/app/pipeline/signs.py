"""What may come before an incident of a service: anomalies, changes, things that run out, and its needs' incidents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.risk import SLOT
from watchkeeper.app.pipeline.score import ALARM
from watchkeeper.app.pipeline.taught import service_of
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model import CHANGES, Event, Incident, Labels

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: A change counts for so long, an incident that is over for so long; what runs out within this is a sign.
CHANGED, AGAIN, SOON = timedelta(hours=1), timedelta(hours=2), timedelta(hours=24)
#: Anomalies at once that are a sign of their own.
MANY = 3
DAY, SLOT_LENGTH = timedelta(days=1), timedelta(seconds=SLOT)
#: One anomaly a series and kind of a slot.
OPEN = f"max by (service, job, metric, kind) (max_over_time({ALARM[0]}[{round(SLOT)}s]))"

#: Sign -> what is known of it, for people to read.
Signs = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Around:
    """Rows that signs are read from."""

    incidents: Sequence[Incident]
    changes: Sequence[Event]
    needs: Mapping[str, frozenset[str]]  #: service -> services it needs
    running_out: Mapping[str, Signs] = field(default_factory=dict)  #: service -> what runs out

    def within(self, start: datetime, end: datetime) -> Around:
        """What matters for slots between the two: far fewer rows to look through in each."""
        return replace(
            self,
            incidents=[
                one
                for one in self.incidents
                if one.opened_at <= end and (one.resolved_at is None or one.resolved_at >= start - AGAIN)
            ],
            changes=[one for one in self.changes if start - CHANGED <= one.start <= end],
        )

    def opened(self, since: datetime, until: datetime) -> dict[str, list[datetime]]:
        """Service -> its incidents opened after ``since``, ``until`` included."""
        found: dict[str, list[datetime]] = defaultdict(list)
        for one in self.incidents:
            if since < one.opened_at <= until and (service := service_of(one.labels)):
                found[service].append(one.opened_at)
        return found

    def over(self, at: datetime) -> dict[str, Incident]:
        """Service -> its newest incident, where that was over a short time ago."""
        rows = [one for one in self.incidents if one.resolved_at and at - AGAIN <= one.resolved_at <= at]
        return {service_of(one.labels): one for one in sorted(rows, key=lambda one: one.resolved_at or at)}

    def open_at(self, at: datetime) -> set[str]:
        """Services with an open incident."""
        return {
            service_of(one.labels)
            for one in self.incidents
            if one.opened_at <= at and (one.resolved_at is None or one.resolved_at > at)
        } - {""}


def signs_of(open_now: Iterable[Labels], around: Around, at: datetime) -> dict[str, Signs]:
    """Service -> its signs."""
    found: dict[str, Signs] = defaultdict(dict)
    for series in open_now:
        labels = dict(series)
        metric, kind = labels.get("metric", ""), labels.get("kind", "")
        if service := service_of(labels):
            found[service][f"anomaly {metric} {kind}"] = {"kind": "anomaly", "what": metric, "how": kind}
    for each in found.values():
        if len(each) >= MANY:
            each["many"] = {"kind": "many", "what": str(len(each)), "how": ""}
    for service, name, about in [*_changed(around, at), *_in_trouble(around, at)]:
        found[service][name] = about
    for service, running_out in around.running_out.items():
        found[service] |= running_out
    return found


def _changed(around: Around, at: datetime) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for one in around.changes:
        if timedelta(0) <= at - one.start <= CHANGED and one.service:
            yield one.service, "change", {"kind": "change", "what": one.title, "how": one.version}


def _in_trouble(around: Around, at: datetime) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What had an incident a short time ago, and what needs a service that has one."""
    troubled = around.open_at(at)
    for service, last in around.over(at).items():
        if service and service not in troubled:
            yield service, "again", {"kind": "again", "what": last.title, "how": last.id}
    for service, needs in around.needs.items():
        for need in sorted(needs & troubled):
            yield service, f"need {need}", {"kind": "need", "what": need, "how": ""}


def around(engine: Engine, since: datetime, now: datetime) -> Around:
    with engine.state.read() as unit:
        incidents = [*unit.incidents.open(), *unit.incidents.recent(since, 10_000)]
        changes = unit.events.find(since=since - CHANGED, until=now, kinds=CHANGES, limit=10_000)
    needs: dict[str, set[str]] = defaultdict(set)
    for edge in engine.cataloguing.edges():
        needs[edge.source].add(edge.target)
    return Around(
        incidents=list({one.id: one for one in incidents}.values()),
        changes=changes,
        needs={name: frozenset(found) for name, found in needs.items()},
        running_out=running_out(engine, now),
    )


def open_now(engine: Engine, now: datetime) -> list[Labels]:
    return [series for series, _ in engine.judging.ask(OPEN, now)]


def open_before(engine: Engine, start: datetime, end: datetime) -> Iterator[tuple[datetime, list[Labels]]]:
    """The same for every slot of the past, as far as samples are kept."""
    while start <= end:  # a day at a time: two weeks of thousands of services are more than one query may load
        until = min(start + DAY - SLOT_LENGTH, end)
        yield from _open_between(engine, start, until)
        start = until + SLOT_LENGTH


def _open_between(engine: Engine, start: datetime, end: datetime) -> list[tuple[datetime, list[Labels]]]:
    step = round(SLOT * 1000)
    matrix = engine.promql.range(OPEN, to_ms(start), to_ms(end), step)
    times = [from_ms(at) for at in range(to_ms(start), to_ms(end) + 1, step)]
    columns: dict[datetime, list[Labels]] = {at: [] for at in times}
    for row, series in enumerate(matrix.series):
        for at, present in zip(matrix.times.tolist(), matrix.present[row].tolist(), strict=True):
            if present:
                columns.setdefault(from_ms(at), []).append(series)
    return sorted(columns.items())


def running_out(engine: Engine, now: datetime) -> dict[str, Signs]:
    """Service -> resources of its pool whose forecast reaches the limit soon."""
    rows = [row for row in engine.foreseeing.rows() if row.get("earliest")]
    soon = [row for row in rows if datetime.fromisoformat(row["earliest"]) - now <= SOON]
    found: dict[str, Signs] = defaultdict(dict)
    for one in engine.cataloguing.services:
        for row in soon:
            if row["pool"].partition(" ")[0] in {one.name, one.pool} - {""}:
                about = {"kind": "exhaustion", "what": f"{row['pool']} {row['resource']}", "how": row["earliest"]}
                found[one.name][f"exhaustion {row['resource']}"] = about
    return found
