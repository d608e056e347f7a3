"""Which series of some services left their usual course about an incident, how far, and which alerts told so."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics.deviation import ENOUGH_WINDOWS, Deviation, deviation
from analytics.stretches import stretches
from detectors.natures import is_counter
from watchkeeper.app.pipeline.ask import written
from watchkeeper.app.pipeline.lanes import derived
from watchkeeper.app.pipeline.score import SCORE
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model import METRIC_NAME, Alert, Incident, Labels, Matcher, MatchOp
from watchkeeper.promql import RangeMatrix

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Usual times; before the first sign, for what was slow to be told; and after the incident was opened, for sources
#: that are asked seldom. What begins later is its consequence, or ours.
USUAL, BEFORE, AFTER = timedelta(hours=2), timedelta(minutes=5), timedelta(minutes=2)
#: An alert that waited longer than this before it opened the incident began no earlier than that.
LONGEST_WAIT = timedelta(hours=1)
#: The label that names what is looked at, unless it is a host.
SERVICE = "service"
#: Series looked at of each service: those whose anomaly score rose most.
MOST_SERIES = 200
#: The quantile of an anomaly score that counts as what it usually is at most.
QUIET = 0.95
#: The strength of an alert: somebody said beforehand that this is bad.
ALERT = 0.9
#: What is left of a strength where next to nothing is known of usual times.
HARDLY_KNOWN = 0.3
#: Labels that every piece of evidence has alike, or that its place in the list says.
UNSAID = frozenset({METRIC_NAME, "metric", "service", "job"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """``since`` to ``begin`` is usual, ``begin`` to ``end`` the incident, in milliseconds."""

    since: int
    begin: int
    end: int


def period_of(incident: Incident, alerts: Sequence[Alert], now: datetime) -> Period:
    """From the first sign of the incident's alerts, which may have waited for their time before it was opened."""
    signs = [one.active_at for one in alerts if one.active_at > incident.opened_at - LONGEST_WAIT]
    begin = min([incident.opened_at, *signs]) - BEFORE
    end = max(min(incident.opened_at + AFTER, now), begin + BEFORE)
    return Period(since=to_ms(begin - USUAL), begin=to_ms(begin), end=to_ms(end))


def alerted(alerts: Sequence[Alert], near: Sequence[str], period: Period) -> list[Deviation]:
    """The first alert of each of these services that began during it; one that still waits for its time counts half."""
    found: dict[str, Deviation] = {}
    for one in alerts:
        service, strength = one.labels.get(SERVICE, ""), ALERT if one.fired_at else ALERT / 2
        inside = service in near and period.begin <= to_ms(one.active_at) <= period.end
        if inside and (service not in found or found[service].strength < strength):
            found[service] = Deviation(
                node=service,
                metric=one.rule,
                kind="alert",
                strength=strength,
                amount=1.0,
                before=0.0,
                during=one.value,
                rising=True,
            )
    return list(found.values())


def deviating(engine: Engine, near: Sequence[str], period: Period, key: str = SERVICE) -> list[Deviation]:
    """How far the series of these services moved; of each service those whose anomaly score rose most.

    ``key``: the label that names them; hosts have theirs in ``instance`` or ``host``.
    """
    return [
        one
        for service, series in _risen(engine, near, period, key).items()
        for one in _moved(engine, {key: service}, series, period)
        if one.strength > 0
    ]


def _risen(engine: Engine, near: Sequence[str], period: Period, key: str) -> dict[str, list[Labels]]:
    """Service -> its series, as they are scored, whose score peaked above what it nearly never was before."""
    scores = SCORE + _chosen(**{key: near})
    window, usual = (period.end - period.begin) // 1000, (period.begin - period.since) // 1000
    at = from_ms(period.end)
    earlier = dict(engine.judging.ask(f"quantile_over_time({QUIET}, {scores}[{usual}s] offset {window}s)", at))
    rises: dict[str, list[tuple[float, Labels]]] = defaultdict(list)
    for own, peak in engine.judging.ask(f"max_over_time({scores}[{window}s])", at):
        rise = peak - min(earlier.get(own, 0.0), 1.0)
        if rise > 0:
            rises[dict(own)[key]].append((-rise, own))
    return {service: [own for _, own in sorted(found)[:MOST_SERIES]] for service, found in rises.items()}


def _moved(engine: Engine, thing: Mapping[str, str], series: Sequence[Labels], period: Period) -> Iterator[Deviation]:
    """Each of these series, from its own samples."""
    names = {dict(one)["metric"] for one in series}
    ((key, name),) = thing.items()
    asked = f"{_chosen(**{key: [name], METRIC_NAME: names})}[{(period.end - period.since) // 1000}s]"
    found = engine.exact.instant(asked, period.end)
    assert isinstance(found, RangeMatrix)  # a range selector asked at one moment
    places = {derived(SCORE, one): place for place, one in enumerate(found.series)}
    for one in series:
        place = places.get(tuple(sorted({**dict(one), METRIC_NAME: SCORE}.items())))
        if place is not None:
            yield from _deviation(name, found, place, period)


def _deviation(service: str, found: RangeMatrix, place: int, period: Period) -> Iterator[Deviation]:
    own, present = dict(found.series[place]), found.present[place]
    counter = is_counter(own[METRIC_NAME], "")
    usual, during = stretches(
        found.times[present], found.values[place][present],
        counter=counter, since=period.since, begin=period.begin, end=period.end,
    )  # fmt: skip
    one = deviation(service, _name(own, counter=counter), own[METRIC_NAME], usual, during)
    if one is not None:
        known = np.isfinite(usual).sum() >= ENOUGH_WINDOWS
        yield one if known else replace(one, strength=one.strength * HARDLY_KNOWN)


def _name(own: Mapping[str, str], *, counter: bool) -> str:
    """The series without what is said already; a counter is told by its rate a second."""
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(own.items()) if key not in UNSAID)
    series = f"{own[METRIC_NAME]}{{{inside}}}" if inside else own[METRIC_NAME]
    return f"rate({series})" if counter else series


def _chosen(**labels: Iterable[str]) -> str:
    """A selector of series whose labels have one of these values."""
    matchers = [Matcher(name, MatchOp.REGEX, "|".join(map(re.escape, sorted(of)))) for name, of in labels.items()]
    return "{" + ",".join(map(written, matchers)) + "}"
