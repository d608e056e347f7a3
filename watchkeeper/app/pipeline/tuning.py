"""Advice on tuning from stored signals, and every change made on it measured before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.tuning import ADVICE, Advice, Judged, advised, judged
from watchkeeper.app.catalogue.coverage import golden
from watchkeeper.app.catalogue.kinds import about_service
from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import CHANGES, METRIC_NAME, Event, EventStatus, Labels
from watchkeeper.store.state import Unit

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Changes that people recorded.
KEY = "tuning/applied/"
#: Label of a change event that says which advice it follows.
LABEL = "tuning"
#: Advice looks so far back; a change is measured for as long before and after it, once it has settled.
LOOK_BACK, MEASURED, SETTLE = timedelta(hours=1), timedelta(hours=1), timedelta(minutes=2)
STEP = timedelta(minutes=1)
#: Changes are told of so long.
KEPT = timedelta(days=30)
BY_KIND: Mapping[str, Advice] = {one.kind: one for one in ADVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that could be tuned."""

    advice: Advice
    labels: Mapping[str, str]
    value: float  #: median of the last hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One change that somebody made on an advice."""

    kind: str
    labels: Mapping[str, str]
    at: datetime
    by: str
    what: str


def findings(engine: Engine, now: datetime) -> list[Finding]:
    return [
        Finding(advice=advice, labels=named, value=value)
        for advice in ADVICE
        for named, values in _rows(engine, advice.query, now - LOOK_BACK, now)
        if (value := advised(values, advice)) is not None
    ]


def applied(unit: Unit, now: datetime) -> list[Applied]:
    """What people recorded and what change events say of themselves, newest first."""
    kept: Mapping[str, Mapping[str, Any]] = unit.documents.with_prefix(KEY)
    told = [
        Applied(
            kind=row["kind"], labels=row["labels"], at=datetime.fromisoformat(row["at"]), by=row["by"], what=row["what"]
        )
        for row in kept.values()
    ]
    told += [_of_event(one) for one in unit.events.find(since=now - KEPT, until=now) if _follows(one)]
    return sorted((one for one in told if one.at > now - KEPT), key=lambda one: one.at, reverse=True)


def record(unit: Unit, one: Applied, now: datetime) -> str:
    number = len(unit.documents.with_prefix(KEY)) + 1
    row = {"kind": one.kind, "labels": dict(one.labels), "at": one.at.isoformat(), "by": one.by, "what": one.what}
    unit.documents.put(f"{KEY}{number:08d}", row, at=now)
    unit.audit.append(one.by, "tuning.applied", one.kind, {"labels": dict(one.labels), "what": one.what}, at=now)
    return f"tuning-{number}"


def measured(engine: Engine, one: Applied, now: datetime) -> dict[str, tuple[Judged, str]]:
    """Measure -> (verdict, unit): the signal that the advice came from, and how fast the service answers."""
    advice = BY_KIND[one.kind]
    found = {"signal": (_judged(engine, advice.query, one, now, higher_is_worse=advice.higher_is_worse), advice.unit)}
    service = one.labels.get("service", "")
    book = engine.cataloguing
    kind = next((each.kind for each in book.services if each.name == service), "")
    latency = golden(book.kinds.get(kind)).get("latency")
    if service and latency:
        about = Applied(kind=one.kind, labels={}, at=one.at, by=one.by, what=one.what)
        expr = about_service(latency, service)
        found["latency"] = (_judged(engine, expr, about, now, higher_is_worse=True), "seconds")
    return found


def _judged(engine: Engine, query: str, one: Applied, now: datetime, *, higher_is_worse: bool) -> Judged:
    """The worst of the things it is about, in the hour before and from when it has settled on."""
    begin = one.at + SETTLE
    spans = ((one.at - MEASURED, one.at), (begin, min(begin + MEASURED, now)))
    sides = []
    for since, until in spans:
        rows = [values for named, values in _rows(engine, query, since, until) if _about(named, one.labels)]
        worst = np.fmax if higher_is_worse else np.fmin
        sides.append(worst.reduce(np.array(rows), axis=0).tolist() if rows else [])
    return judged(sides[0], sides[1], higher_is_worse=higher_is_worse)


def _rows(
    engine: Engine, query: str, since: datetime, until: datetime
) -> Iterator[tuple[Mapping[str, str], Sequence[float]]]:
    """Labels and one value a minute; NaN where nothing is known."""
    if until <= since:
        return
    try:
        found = engine.promql.range(query, to_ms(since), to_ms(until), round(STEP.total_seconds() * 1000))
    except QueryError:  # a signal that cannot be asked gives no advice
        return
    values = np.where(found.present, found.values, np.nan)
    for index, series in enumerate(found.series):
        yield _named(series), values[index].tolist()


def _named(series: Labels) -> dict[str, str]:
    return {name: value for name, value in series if name != METRIC_NAME and value}


def _about(named: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(named.get(name) == value for name, value in labels.items())


def _follows(event: Event) -> bool:
    done = event.kind in CHANGES and event.status is EventStatus.OK
    return done and event.labels.get(LABEL) in BY_KIND and bool(event.service)


def _of_event(event: Event) -> Applied:
    at = event.end or event.start
    labels = {"service": event.service}
    return Applied(kind=event.labels[LABEL], labels=labels, at=at, by=event.id, what=event.title)
