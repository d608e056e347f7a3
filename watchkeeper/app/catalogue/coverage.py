"""How much of a service is watched: golden signals, a log source, a rule and an owner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rules.book import RuleBook
from watchkeeper.app.catalogue.kinds import Kind, about_service
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, MatchOp, Service
from watchkeeper.ports import SampleReader
from watchkeeper.promql import selectors

#: What a service needs to count as watched.
PARTS = ("golden", "logs", "rule", "owner")
#: Collectors that bring log lines.
LOGS = (
    "log_file", "journald", "syslog", "container_logs", "loki_logs", "elasticsearch_logs", "otlp_logs", "kubernetes",
)  # fmt: skip
#: Where a kind says nothing, or there is none: the signals that every source is turned into.
USUAL = {
    "latency": 'api_response_times{service="$service"}',
    "traffic": 'sum(rate(http_requests_total{service="$service"}[5m]))',
    "errors": 'error_rates{service="$service"}',
    "saturation": (
        'cpu_usage{service="$service"} or memory_usage{service="$service"}'
        ' or max(rate(process_cpu_seconds_total{service="$service"}[5m]))'  # of one processor, as its client tells it
    ),
}
#: Not what the catalogue itself says of every service.
MEASURED = Matcher("__name__", MatchOp.NOT_REGEX, "watchkeeper_(service|coverage|single_point|pool)_.*")
#: How far back a rule's series may lie.
RECENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Covered:
    """One service; ``signals`` maps each golden signal to its value, NaN where there is none."""

    service: str
    signals: Mapping[str, float]
    logs: bool
    rules: tuple[str, ...]
    owner: bool

    @property
    def parts(self) -> dict[str, bool]:
        known = [not math.isnan(value) for value in self.signals.values()]
        return {"golden": bool(known) and all(known), "logs": self.logs, "rule": bool(self.rules), "owner": self.owner}

    @property
    def whole(self) -> bool:
        return all(self.parts.values())


def golden(kind: Kind | None) -> Mapping[str, str]:
    """Signal -> PromQL with ``$service``."""
    return {str(name): query for name, query in kind.golden.items()} if kind and kind.golden else USUAL


def covered(
    services: Sequence[Service],
    kinds: Mapping[str, Kind],
    *,
    ask: Ask,
    sources: Iterable[Source],
    rules: Mapping[str, Sequence[str]],
    now: datetime,
) -> list[Covered]:
    """Every service as it stands. ``rules``: service -> rules that see its series."""
    logged = {
        source.health_labels.get("service", "") for source in sources if source.kind in LOGS and source.state == "up"
    }
    return [
        Covered(
            one.name,
            {
                name: _value(ask, about_service(query, one.name), now)
                for name, query in golden(kinds.get(one.kind)).items()
            },
            one.name in logged,
            tuple(rules.get(one.name, ())),
            bool(one.owner),
        )
        for one in services
    ]


def _value(ask: Ask, query: str, now: datetime) -> float:
    try:
        found = [value for _, value in ask(query, now) if math.isfinite(value)]
    except QueryError:
        return math.nan
    return max(found) if found else math.nan


def watched_by(book: RuleBook, reader: SampleReader, now: datetime) -> dict[str, list[str]]:
    """Service -> names of the alert rules that see at least one series of it."""
    found: dict[str, set[str]] = {}
    start, end = to_ms(now - RECENT), to_ms(now)
    seen: dict[object, list[str]] = {}
    for _, rule in book.alert_rules():
        for matchers, _window, _offset in selectors(rule.expr):
            if matchers not in seen:
                seen[matchers] = reader.label_values("service", (*matchers, MEASURED), start, end)
            for service in seen[matchers]:
                found.setdefault(service, set()).add(rule.name)
    return {service: sorted(names) for service, names in found.items()}


def ratio(rows: Sequence[Covered], part: str = "") -> float:
    """Share of services that have the part, or everything; NaN without services."""
    if not rows:
        return math.nan
    return sum(one.parts[part] if part else one.whole for one in rows) / len(rows)
