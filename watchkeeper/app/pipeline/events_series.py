"""Events as series: marks, ages against targets, stages, alerts of others, and the DORA figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.changes import OVER, Deployment, dora, outside
from analytics.releases import soak
from watchkeeper.app.pipeline.entity_findings import open_findings
from watchkeeper.app.pipeline.published import Row
from watchkeeper.config import Config
from watchkeeper.model import CHANGES, Event, EventKind, EventStatus, Incident, Service, labels

#: Windows of the DORA figures, and how far back events are read.
WINDOWS: Mapping[str, timedelta] = {"7d": timedelta(days=7), "30d": timedelta(days=30)}
BACK = timedelta(days=35)
#: What failed or was out of order is published for this long.
SHOWN = timedelta(hours=1)
#: A deploy whose end nobody told is forgotten after this long.
LOST = timedelta(hours=6)
#: Kinds whose newest good event has an age -> word of its series, and the target it is held against.
AGES: Mapping[EventKind, tuple[str, str]] = {
    EventKind.BACKUP: ("backup", "rpo"),
    EventKind.RESTORE_DRILL: ("drill", "drill_every"),
    EventKind.PATCH: ("patch", "patch_every"),
}
#: Severity of another system's alert -> level.
LEVELS: Mapping[str, str] = {
    "critical": "P1", "emergency": "P1", "page": "P1", "disaster": "P1", "p0": "P1", "p1": "P1",
    "error": "P2", "high": "P2", "major": "P2", "warning": "P2", "p2": "P2",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is read of the table, again only after something was added."""

    recent: Sequence[Event]  #: of ``BACK``, newest first
    findings: Sequence[Event]  #: about security, all that are kept, newest first
    last: Mapping[EventKind, Mapping[str, Event]]  #: newest good backup, drill and patch by service
    counts: Mapping[tuple[str, str, str, str], int]
    incidents: Sequence[Incident]
    folded: Sequence[Deployment]


def rows(known: Known, config: Config, services: Sequence[Service], now: datetime) -> Iterator[Row]:
    yield from _counts(known)
    yield from _marks(known, config, now)
    yield from ages(known, config, services, now)
    yield from _windows(known, config, now)
    yield from _stages(known, config, now)
    yield from _soaks(known, config, now)
    yield from _foreign(known)
    yield from _versions(known)
    yield from open_findings(known.findings)
    yield from _dora(known, config, now)


def _counts(known: Known) -> Iterator[Row]:
    for (kind, service, environment, status), count in sorted(known.counts.items()):
        about = {"kind": kind, "service": service, "environment": environment, "status": status}
        yield labels("watchkeeper_events_total", about), float(count)


def _marks(known: Known, config: Config, now: datetime) -> Iterator[Row]:
    found: dict[tuple[str, str, str, str], int] = {}
    for one in known.recent:
        if one.start <= now and now - max(one.start, one.end or one.start) < config.events.mark:
            key = (one.kind, one.service, one.environment, one.status)
            found[key] = found.get(key, 0) + 1
    for (kind, service, environment, status), count in sorted(found.items()):
        about = {"kind": kind, "service": service, "environment": environment, "status": status}
        yield labels("watchkeeper_event", about), float(count)


def expected(config: Config, services: Sequence[Service]) -> dict[str, str]:
    """Service -> tier: those of the catalogue, and those that targets name."""
    named = {name: "" for one in config.events.targets for name in one.services}
    return named | {one.name: one.tier for one in services}


def ages(known: Known, config: Config, services: Sequence[Service], now: datetime) -> Iterator[Row]:
    """Of a backup counts when it began: what was written afterwards is not in it."""
    tiers = expected(config, services)
    for kind, (word, _) in AGES.items():
        for service, one in known.last[kind].items():
            yield labels(f"watchkeeper_{word}_age_seconds", service=service), (now - one.start).total_seconds()
            if kind is EventKind.RESTORE_DRILL and one.end is not None:
                took = (one.end - one.start).total_seconds()
                yield labels("watchkeeper_drill_duration_seconds", service=service), took
    for service, tier in tiers.items():
        target = config.events.target(service, tier)
        if target is None:
            continue
        wanted = {f"{word}_target": getattr(target, field) for word, field in AGES.values()}
        wanted["drill_duration_target"] = target.rto
        for word, length in wanted.items():
            if length is not None:
                yield labels(f"watchkeeper_{word}_seconds", service=service), length.total_seconds()


def out_of_order(known: Known, config: Config, event: Event) -> str:
    """Why a change was not to be made then; empty: it was in order, or is none."""
    if event.kind not in CHANGES or event.status in (EventStatus.PLANNED, EventStatus.CANCELLED):
        return ""
    if event.labels.get("stage") in ("commit", "release"):  # nothing that runs was touched
        return ""
    freezes = [one for one in known.recent if one.kind is EventKind.FREEZE and one.status is not EventStatus.CANCELLED]
    return outside(event, config.events.windows, freezes, config.zone)


def _windows(known: Known, config: Config, now: datetime) -> Iterator[Row]:
    for one in known.recent:
        if timedelta(0) <= now - one.start < SHOWN and (why := out_of_order(known, config, one)):
            about = {"service": one.service, "environment": one.environment, "kind": one.kind, "event": one.id}
            yield labels("watchkeeper_change_out_of_window", {**about, "reason": why}), 1.0


def _stages(known: Known, config: Config, now: datetime) -> Iterator[Row]:
    newest: dict[tuple[str, str, str], Deployment] = {}
    for one in (each for each in known.folded if each.status is not EventStatus.PLANNED):
        newest[(one.service, one.environment, one.stage)] = one
    for (service, environment, stage), one in newest.items():
        about = {"service": service, "environment": environment, "stage": stage or "deploy"}
        live = str(environment in config.events.production).lower()
        if one.end is None and now - one.start < LOST:
            limit = config.events.stage_limit if stage else config.events.deploy_limit
            yield labels("watchkeeper_deployment_running_seconds", about), (now - one.start).total_seconds()
            yield labels("watchkeeper_deployment_limit_seconds", about), limit.total_seconds()
        elif one.end is not None and now - one.end < SHOWN:
            failed = one.status is EventStatus.FAILED
            yield labels("watchkeeper_deployment_failed", {**about, "production": live}), float(failed)
            yield labels("watchkeeper_deployment_seconds", about), (one.end - one.start).total_seconds()


def _soaks(known: Known, config: Config, now: datetime) -> Iterator[Row]:
    for one in known.folded:
        watched = one.end is not None and now - one.end < SHOWN and not one.stage
        if watched and soak(one, known.incidents, now, config.events.soak) == "roll_back":
            about = {"service": one.service, "environment": one.environment, "version": one.version}
            yield labels("watchkeeper_rollback_recommended", about), 1.0


def gate_rows(judged: Iterable[tuple[Deployment, str]], now: datetime) -> Iterator[Row]:
    """Verdicts by metrics of the last hour's deploys: 1 passed, 0 failed; what is not known is not there."""
    for one, verdict in judged:
        if verdict in ("passed", "failed") and one.end is not None and now - one.end < SHOWN:
            about = {"service": one.service, "environment": one.environment, "version": one.version, "stage": one.stage}
            yield labels("watchkeeper_release_gate_passed", about), float(verdict == "passed")


def _foreign(known: Known) -> Iterator[Row]:
    newest: dict[tuple[str, str], Event] = {}
    for one in known.recent:  # newest first; of one alert a resolution is newer than its beginning
        if one.kind is EventKind.ALERT:
            key = (one.source, one.labels.get("fingerprint", one.id))
            before = newest.get(key)
            if before is None or (before.start == one.start and one.status in OVER):
                newest[key] = one
    firing: dict[tuple[str, str, str, str, str], int] = {}
    for one in newest.values():
        if one.status is EventStatus.RUNNING:
            level = LEVELS.get(one.labels.get("severity", "").lower(), "P3")
            key5 = (one.labels.get("alertname", ""), one.service, one.environment, level, one.source)
            firing[key5] = firing.get(key5, 0) + 1
    for (name, service, environment, level, source), count in sorted(firing.items()):
        about = {"service": service, "environment": environment, "level": level, "origin": source}
        yield labels("watchkeeper_foreign_alerts", {"foreign": name, **about}), float(count)


def _versions(known: Known) -> Iterator[Row]:
    """What runs where, and how much of its tests passed."""
    running = running_versions(known.folded)
    for (service, environment), version in sorted(running.items()):
        yield (
            labels("watchkeeper_deployed_version_info", service=service, environment=environment, version=version),
            1.0,
        )
    for service in sorted({service for service, _ in running}):
        different = {version for (name, _), version in running.items() if name == service}
        yield labels("watchkeeper_deployed_versions", service=service), float(len(different))
    configured = config_versions(known.recent)
    for service in sorted({service for service, _ in configured}):
        different = {version for (name, _), version in configured.items() if name == service}
        yield labels("watchkeeper_config_versions", service=service), float(len(different))
    for (service, version), ratio in tests_passed(known.recent).items():
        yield labels("watchkeeper_tests_passed_ratio", service=service, version=version), ratio


def running_versions(folded: Iterable[Deployment]) -> dict[tuple[str, str], str]:
    """(service, environment) -> version of its newest good deploy."""
    good = (one for one in folded if not one.stage and one.status is EventStatus.OK and one.version)
    return {(one.service, one.environment): one.version for one in good}


def config_versions(recent: Sequence[Event]) -> dict[tuple[str, str], str]:
    """(service, environment) -> version of its newest configuration, such as a digest that the change told."""
    oldest_first = (one for one in reversed(recent) if one.kind is EventKind.CONFIG_CHANGE and one.version)
    return {(one.service, one.environment): one.version for one in oldest_first if one.status is EventStatus.OK}


def tests_passed(recent: Sequence[Event]) -> dict[tuple[str, str], float]:
    """(service, version) of the newest release of each service that told ``tests_passed`` and ``tests_total``."""
    found: dict[str, tuple[str, float]] = {}
    for one in recent:
        ratio = pass_ratio(one)
        if not math.isnan(ratio) and one.service not in found:
            found[one.service] = (one.version, ratio)
    return {(service, version): ratio for service, (version, ratio) in found.items()}


def pass_ratio(one: Event) -> float:
    """NaN where an event tells nothing of tests."""
    try:
        passed, total = float(one.labels["tests_passed"]), float(one.labels["tests_total"])
    except (KeyError, ValueError):
        return math.nan
    return passed / total if total > 0 and 0 <= passed <= total else math.nan


def _dora(known: Known, config: Config, now: datetime) -> Iterator[Row]:
    deploying = {one.service for one in known.recent if one.kind is EventKind.DEPLOY and one.service}
    for service in sorted(deploying):
        mine = [one for one in known.recent if one.service == service]
        for name, window in WINDOWS.items():
            found = dora(mine, known.incidents, now=now, window=window, production=config.events.production,
                         blame=config.events.blame)  # fmt: skip
            figures = {
                "deployments_per_day": found.per_day, "lead_time_seconds": found.lead_time_seconds,
                "change_failure_ratio": found.failure_ratio, "recovery_seconds": found.recovery_seconds,
            }  # fmt: skip
            for word, value in figures.items():
                if value is not None:
                    yield labels(f"watchkeeper_dora_{word}", service=service, window=name), value
