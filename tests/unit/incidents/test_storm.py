"""Many alerts at once: every one saved, grouped, told or accounted for, in a few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.states import sqlite_state
from support.storm import NOON, Storm, brewing, storm, within

from incidents import read_ledger
from watchkeeper.model import Severity
from watchkeeper.store.state import State

ALERTS, SERVICES = 1_000, 20


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    found = sqlite_state(tmp_path)
    yield found
    found.close()


def statements(state: State, one: Storm, alerts: int) -> int:
    """How many statements the database is given for a storm of so many alerts."""
    seen: Counter[str] = Counter()

    def count(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen[statement] += 1

    event.listen(state.engine, "before_cursor_execute", count)
    one.strike(storm(alerts, SERVICES))
    event.remove(state.engine, "before_cursor_execute", count)
    return seen.total()


async def test_every_alert_of_a_storm_is_one_row_in_one_incident_and_one_word_of_the_ledger(state: State) -> None:
    async with brewing(state) as one:
        assert one.strike(storm(ALERTS, SERVICES)) == len(one.changes)
        with state.read() as unit:
            rows, open_incidents, ledger = unit.alerts.open(), unit.incidents.open(), read_ledger(unit)
            moves = unit.transitions.counts()
    assert len({row.id for row in rows}) == len({row.correlation_id for row in rows}) == ALERTS
    assert [one.alert.id for one in one.saved] == [f"alert-{number}" for number in range(1, ALERTS + 1)]
    homes = {alert_id: incident.id for incident in open_incidents for alert_id in incident.alert_ids}
    assert {row.id: row.incident_id for row in rows} == homes
    assert len(open_incidents) == SERVICES
    for incident in open_incidents:
        assert {row.labels["service"] for row in rows if row.incident_id == incident.id} == {incident.labels["service"]}
    assert (moves["alert", "firing"], moves["incident", "opened"]) == (ALERTS, SERVICES)
    assert ledger.balanced
    assert ledger.raised == ALERTS


async def test_the_last_alert_being_the_only_p0_is_told_first_and_the_robot_is_not_flooded(state: State) -> None:
    async with brewing(state) as one:
        one.strike(storm(ALERTS, SERVICES))
        await one.deliver(60)
        times = one.told_after()
        assert "P0" in one.double.accepted[0].json["markdown"]["title"]
        assert times[0] == 0
        assert 1 < within(times, 60) <= 6
        assert one.double.lockouts == 0
    assert one.changes[0].incident.severity is Severity.P0
    with state.read() as unit:
        assert {word for _, word in unit.outbox.counts()} <= {"sent", "folded"}


async def test_ten_times_the_alerts_are_not_ten_times_the_statements(state: State) -> None:
    async with brewing(state) as one:
        few = statements(state, one, 100)
    async with brewing(state) as one:
        many = statements(state, one, 1_000)
    assert many < 2 * few


async def test_the_same_storm_judged_again_changes_no_incident_and_tells_nothing(state: State) -> None:
    async with brewing(state) as one:
        one.strike(storm(100, 5))
        with state.read() as unit:
            before, moves = unit.incidents.recent(NOON), unit.transitions.counts()
        one.clock.advance(1)
        queued = one.strike([])
        assert (queued, one.changes) == (0, [])
        with state.read() as unit:
            assert unit.incidents.recent(NOON) == before
            assert unit.transitions.counts() == moves
