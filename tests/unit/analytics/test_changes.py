"""Deploys from their events, the DORA figures, windows and freezes, and what an incident is blamed on."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.changes import blamed_changes, deployments, dora, outside
from watchkeeper.config.events import Window
from watchkeeper.model import Event, EventKind, EventStatus, Incident, IncidentState, Severity

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def event(kind: str = "deploy", *, ago: timedelta = HOUR, lasts: timedelta | None = None, **more: Any) -> Event:
    start = NOW - ago
    values = {"service": "shop", "environment": "PROD", "title": kind, **more}
    status = EventStatus(values.pop("status", "ok"))
    return Event(
        kind=EventKind(kind), start=start, end=None if lasts is None else start + lasts, status=status, **values
    )


def incident(ago: timedelta, lasts: timedelta, **more: Any) -> Incident:
    values = {"severity": Severity.P1, "labels": {"service": "shop"}, **more}
    return Incident(id=f"inc-{ago}", state=IncidentState.RESOLVED, title="x", group_key="k", opened_at=NOW - ago,
                    resolved_at=NOW - ago + lasts, alert_ids=(), correlation_id="c", **values)  # fmt: skip


def figures(events: list[Event], incidents: list[Incident]) -> Any:
    return dora(events, incidents, now=NOW, window=timedelta(days=10), production=["PROD"], blame=HOUR)


def test_a_deploy_is_its_first_event_to_its_last_and_stages_stand_by_themselves() -> None:
    found = deployments(
        [
            event(status="running", ago=HOUR, version="1"),
            event(ago=HOUR - timedelta(minutes=5), lasts=timedelta(minutes=1), version="1"),
            event("change", ago=2 * HOUR, lasts=HOUR, version="1", labels={"stage": "build"}, status="failed"),
            event("change", ago=2 * HOUR),
            event(status="running", ago=HOUR / 2, version="2"),
        ]
    )
    assert [(one.version, one.stage, one.status) for one in found] == [
        ("1", "build", "failed"), ("1", "", "ok"), ("2", "", "running"),
    ]  # fmt: skip
    assert found[1].start == NOW - HOUR
    assert found[1].end == NOW - HOUR + timedelta(minutes=6)
    assert found[2].end is None


def test_the_four_figures_by_hand() -> None:
    commit = event("change", ago=9 * DAY, version="abcdef1234567", labels={"stage": "commit"})
    events = [
        commit,
        event(ago=8 * DAY, lasts=HOUR, version="abcdef1"),  # 25 h after its commit
        event(ago=5 * DAY, lasts=HOUR, version="2", labels={"committed_at": (NOW - 5 * DAY).isoformat()}),  # 1 h
        event(ago=3 * DAY, lasts=HOUR, version="3", status="failed"),
        event(ago=2 * DAY, lasts=HOUR, version="4"),  # good again after 24 h; nobody told of its commit
        event(ago=DAY, lasts=HOUR, version="5", environment="TEST"),
        event(ago=20 * DAY, lasts=HOUR, version="0"),
    ]
    incidents = [
        incident(5 * DAY - HOUR / 2, 2 * HOUR),  # after version 2
        incident(8 * DAY - 3 * HOUR, HOUR),  # too late to be version 1's
        incident(2 * DAY, HOUR, labels={"service": "other"}),
        incident(2 * DAY, HOUR, severity=Severity.P3),
        incident(2 * DAY, HOUR, labels={"service": "shop", "family": "change"}),
    ]
    found = figures(events, incidents)
    assert (found.deployments, found.per_day) == (3, 0.3)
    assert found.lead_time_seconds == pytest.approx(13 * 3600)
    assert found.failure_ratio == pytest.approx(2 / 4)
    assert found.recovery_seconds == pytest.approx(13 * 3600)


def test_without_deploys_nothing_but_the_frequency_is_known() -> None:
    found = figures([event("backup")], [])
    assert (found.per_day, found.lead_time_seconds, found.failure_ratio, found.recovery_seconds) == (
        0,
        None,
        None,
        None,
    )


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    night = [Window(days=["mon"], start=time(22), end=time(6), environments=["PROD"])]
    for at, wanted in (
        (datetime(2026, 3, 2, 22, 0, tzinfo=SHANGHAI), ""),  # Monday
        (datetime(2026, 3, 3, 5, 59, tzinfo=SHANGHAI), ""),
        (datetime(2026, 3, 3, 6, 0, tzinfo=SHANGHAI), "window"),
        (datetime(2026, 3, 3, 22, 0, tzinfo=SHANGHAI), "window"),
        (datetime(2026, 3, 2, 5, 0, tzinfo=SHANGHAI), "window"),
    ):
        assert outside(event(ago=NOW - at.astimezone(UTC)), night, [], SHANGHAI) == wanted, at
    assert outside(event(environment="TEST"), night, [], SHANGHAI) == ""


def test_a_freeze_forbids_its_service_or_everything_until_it_ends() -> None:
    change = event(ago=HOUR)
    assert outside(change, [], [event("freeze", ago=2 * HOUR)], SHANGHAI) == "freeze"
    assert outside(change, [], [event("freeze", ago=2 * HOUR, service="", environment="")], SHANGHAI) == "freeze"
    assert outside(change, [], [event("freeze", ago=2 * HOUR, service="other")], SHANGHAI) == ""
    assert outside(change, [], [event("freeze", ago=3 * HOUR, lasts=HOUR)], SHANGHAI) == ""


def test_own_changes_are_blamed_before_those_of_dependencies_and_old_ones_are_not() -> None:
    rows = [
        event(ago=HOUR / 2, title="own"), event(ago=HOUR / 4, title="db", service="db"),
        event(ago=HOUR / 6, title="stranger", service="other"), event(ago=2 * HOUR, title="old"),
        event(ago=2 * HOUR, lasts=HOUR * 1.5, title="long"), event(ago=-HOUR, title="later"),
    ]  # fmt: skip
    found = blamed_changes(rows, NOW, "shop", ["db"], HOUR)
    assert [(one.title, whose) for one, whose in found] == [("own", "own"), ("long", "own"), ("db", "dependency")]
    assert blamed_changes(rows, NOW, "", [""], HOUR) == []
