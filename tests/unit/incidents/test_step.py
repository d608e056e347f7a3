"""From alerts to few incidents and few, right messages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from support.incidents import Desk

from incidents import IncidentError, Settings, acknowledge, mitigate, start_work, step
from watchkeeper.model import AlertState, IncidentState, Severity
from watchkeeper.store.state.repositories.incidents import Silence


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state.db")


def silence(desk: Desk, *matchers: list[str], minutes: float = 60) -> None:
    with desk.state.begin() as unit:
        number = unit.incidents.new_silence_id()
        unit.incidents.add_silence(
            Silence(id=number, matchers=list(matchers), starts_at=desk.now, ends_at=desk.later(minutes=minutes),
                    created_by="li", comment="release")
        )  # fmt: skip


def test_the_first_severe_alert_is_told_at_once_and_only_once(desk: Desk) -> None:
    desk.fire("Down", Severity.P0)
    (change,) = desk.step()
    assert (change.kind, change.reason, change.key) == ("firing", "new", "inc-1/1/firing")
    assert (change.incident.title, change.incident.details["title_en"]) == ("Down 触发", "Down fires")
    assert change.incident.correlation_id == "corr-Down"
    assert desk.step() == desk.step(60) == []


def test_lesser_alerts_wait_to_be_grouped(desk: Desk) -> None:
    desk.fire("Slow", Severity.P2)
    assert desk.told() == []
    desk.fire("Slower", Severity.P2)
    assert desk.told(10) == []
    (change,) = desk.step(20)
    assert [alert.rule for alert in change.alerts] == ["Slow", "Slower"]
    assert desk.ledger().notified == 2


def test_alerts_of_one_service_are_one_incident_and_others_another(desk: Desk) -> None:
    desk.fire("A")
    desk.fire("B")
    desk.fire("C", service="search")
    desk.fire("D", environment="TEST")
    assert len(desk.step()) == 3
    keys = {incident.group_key: len(incident.alert_ids) for incident in desk.incidents()}
    assert keys == {"service=checkout": 2, "service=search": 1, "environment=TEST,service=checkout": 1}


def test_more_alerts_are_told_together_after_the_interval(desk: Desk) -> None:
    desk.fire("A")
    desk.step()
    desk.fire("B")
    assert desk.told(60) == []
    assert desk.told(240) == [("firing", "grew")]
    ledger = desk.ledger()
    assert (ledger.raised, ledger.notified, ledger.grouped) == (2, 1, 1)


def test_security_has_a_clock_of_its_own_whatever_the_level(desk: Desk) -> None:
    desk.fire("Guessed", Severity.P2, family="security")
    desk.fire("Writable", Severity.P3, family="security", service="disk")
    desk.fire("Slow", Severity.P2, service="search")
    desk.step()
    found = {one.labels["service"]: one for one in desk.incidents()}
    assert found["checkout"].respond_by == desk.later(minutes=15)
    assert found["checkout"].start_by == desk.later(hours=1)
    assert found["checkout"].details["clock"] == "security"
    assert found["search"].respond_by == desk.later(hours=2)
    assert (found["disk"].respond_by or desk.now) > desk.later(hours=2)  # below the least level
    assert all("clock" not in found[name].details for name in ("search", "disk"))


def test_the_first_alert_about_security_tightens_the_clocks_of_an_incident_once(desk: Desk) -> None:
    desk.fire("Slow", Severity.P2)
    desk.step(60)
    desk.fire("Guessed", Severity.P2, family="security")
    desk.step(60)
    due = desk.later(minutes=15)
    assert desk.incidents()[0].respond_by == due
    desk.fire("Stolen", Severity.P2, family="security")
    desk.step(60)
    assert [(one.respond_by, one.title) for one in desk.incidents()] == [(due, "Slow 触发")]


def test_an_earlier_clock_of_the_level_stays(desk: Desk) -> None:
    desk.fire("Stolen", Severity.P0, family="security")
    desk.step()
    assert desk.incidents()[0].respond_by == desk.later(minutes=5)


def test_a_worse_alert_does_not_wait(desk: Desk) -> None:
    desk.fire("A", Severity.P1)
    desk.step()
    before = desk.incidents()[0].respond_by
    desk.fire("B", Severity.P0)
    (change,) = desk.step(1)
    assert (change.reason, change.severity, change.incident.title) == ("severity", Severity.P0, "B 触发")
    assert change.incident.respond_by == desk.later(minutes=5)
    assert before is not None
    assert change.incident.respond_by < before


def test_an_unanswered_incident_is_told_again_and_an_answered_one_is_not(desk: Desk) -> None:
    desk.fire("A", Severity.P0)
    desk.step()
    assert ("firing", "repeat") in desk.told(1800)
    with desk.state.begin() as unit:
        acknowledge(unit, "inc-1", "wang", desk.now, "on it")
    assert desk.told(1800) == []


def test_resolved_is_told_once_when_the_last_alert_is_over(desk: Desk) -> None:
    a, b = desk.fire("A"), desk.fire("B")
    desk.step()
    desk.clear(a)
    assert desk.told(10) == []
    desk.clear(b)
    (change,) = desk.step(10)
    assert (change.kind, [alert.id for alert in change.alerts]) == ("resolved", [a, b])
    assert change.incident.state is IncidentState.RESOLVED
    assert desk.told(10) == []


def test_an_alert_that_cannot_be_evaluated_keeps_its_incident_open(desk: Desk) -> None:
    a = desk.fire("A")
    desk.step()
    desk.become(a, AlertState.UNKNOWN)
    assert desk.told(600) == []
    assert desk.incidents()[0].state is IncidentState.OPENED


def test_a_pending_alert_is_nobodys_incident(desk: Desk) -> None:
    a = desk.fire("A")
    with desk.state.begin() as unit:
        row = unit.alerts.get(a)
        assert row is not None
        unit.connection.exec_driver_sql("UPDATE alerts SET fired_at = NULL, state = 'pending'")
    assert desk.told() == []
    assert desk.incidents() == []


def test_what_cleared_before_it_was_told_is_never_resolved_to_people(desk: Desk) -> None:
    a = desk.fire("A", Severity.P2)
    desk.step()
    desk.clear(a)
    assert desk.told(10) == []
    assert desk.ledger().suppressed == {"resolved_before_told": 1}
    assert desk.incidents()[0].state is IncidentState.RESOLVED


def test_a_return_within_minutes_reopens_the_incident(desk: Desk) -> None:
    a = desk.fire("A")
    desk.step()
    desk.clear(a)
    desk.step(10)
    desk.fire("A")
    (change,) = desk.step(60)
    assert (change.reason, change.incident.id, change.incident.details["reopened"]) == ("reopened", "inc-1", 1)
    assert change.incident.respond_by == desk.later(minutes=30)
    with desk.state.read() as unit:
        states = [(row.new_state, row.reason) for row in unit.transitions.of("inc-1")]
    assert states == [("opened", "opened"), ("resolved", "all_alerts_resolved"), ("opened", "reopened")]


def test_a_return_after_the_window_is_a_new_incident(desk: Desk) -> None:
    a = desk.fire("A")
    desk.step()
    desk.clear(a)
    desk.step(10)
    desk.fire("A")
    (change,) = desk.step(700)
    assert (change.reason, change.incident.id) == ("new", "inc-2")


def test_who_had_answered_need_not_answer_again_after_a_return(desk: Desk) -> None:
    a = desk.fire("A")
    desk.step()
    with desk.state.begin() as unit:
        acknowledge(unit, "inc-1", "wang", desk.now)
    desk.clear(a)
    desk.step(10)
    desk.fire("A")
    (change,) = desk.step(60)
    assert (change.incident.state, change.incident.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "wang")


def test_a_silence_mutes_messages_and_never_the_incident(desk: Desk) -> None:
    silence(desk, ["alertname", "=~", "A|B"], minutes=30)
    desk.fire("A", Severity.P0)
    assert desk.told() == desk.told(600) == []
    assert desk.incidents()[0].state is IncidentState.OPENED
    assert desk.ledger().suppressed == {"silenced": 1}
    assert ("firing", "new") in desk.told(1300)
    assert desk.ledger().suppressed == {}
    assert desk.ledger().notified == 1


def test_a_silence_without_matchers_mutes_nothing(desk: Desk) -> None:
    silence(desk)
    desk.fire("A", Severity.P0)
    assert desk.told() == [("firing", "new")]


def test_what_is_silenced_after_it_was_told_is_still_told_to_be_over(desk: Desk) -> None:
    a = desk.fire("A", Severity.P0)
    desk.step()
    silence(desk, ["service", "=", "checkout"])
    desk.clear(a)
    assert desk.told(10) == [("resolved", "resolved")]


def test_a_dead_instance_mutes_the_lesser_alerts_of_the_same_instance(desk: Desk) -> None:
    desk.fire("ServiceDown", Severity.P0, instance="a", job="web")
    desk.fire("HighCpu", Severity.P1, instance="a", job="web")
    desk.fire("HighCpu", Severity.P1, instance="b", job="web")
    (change,) = desk.step()
    assert [alert.labels["instance"] for alert in change.alerts] == ["a", "b"]
    assert desk.ledger().suppressed == {"inhibited": 1}


def test_both_clocks_warn_before_and_tell_when_broken(desk: Desk) -> None:
    desk.fire("A", Severity.P0)
    desk.step()
    assert desk.told(239) == []
    assert desk.told(1) == [("escalation", "respond_soon")]
    assert desk.told(60) == [("escalation", "respond_late")]
    assert desk.told(420) == [("escalation", "start_soon")]
    assert desk.told(180) == [("escalation", "start_late")]
    assert desk.told(60) == []


def test_an_answer_stops_the_clocks(desk: Desk) -> None:
    desk.fire("A", Severity.P0)
    desk.step()
    with desk.state.begin() as unit:
        acknowledge(unit, "inc-1", "wang", desk.now)
    assert desk.told(3600) == []


def test_with_strict_clocks_only_work_stops_the_second_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s.db", Settings(answering_starts_work=False))
    desk.fire("A", Severity.P0)
    desk.step()
    with desk.state.begin() as unit:
        acknowledge(unit, "inc-1", "wang", desk.now)
    assert desk.told(720) == [("escalation", "start_soon")]
    with desk.state.begin() as unit:
        start_work(unit, "inc-1", "wang", desk.now)
    assert desk.told(3600) == []


def test_starting_work_is_an_answer(desk: Desk) -> None:
    desk.fire("A", Severity.P0)
    desk.step()
    with desk.state.begin() as unit:
        assert start_work(unit, "inc-1", "li", desk.now).acknowledged_by == "li"


def test_a_mitigated_incident_needs_no_work_and_resolves_with_its_alerts(desk: Desk) -> None:
    a = desk.fire("A", Severity.P0)
    desk.step()
    at = desk.now
    with desk.state.begin() as unit:
        acknowledge(unit, "inc-1", "li", at)
        assert mitigate(unit, "inc-1", "failover verified", at, evidence={"action": "act-1"}).mitigated_at == at
    assert desk.told(1200) == []
    desk.clear(a)
    assert desk.told(10) == [("resolved", "resolved")]
    with desk.state.read() as unit:
        ended = unit.incidents.get("inc-1")
    assert ended is not None
    assert (ended.mitigated_at, ended.state) == (at, IncidentState.RESOLVED)


def test_a_mitigated_incident_still_wants_an_answer(desk: Desk) -> None:
    desk.fire("A", Severity.P0)
    desk.step()
    with desk.state.begin() as unit:
        mitigate(unit, "inc-1", "failover verified", desk.now)
    assert ("escalation", "respond_late") in desk.told(1200)


def test_what_is_not_there_or_not_open_cannot_be_acknowledged(desk: Desk) -> None:
    desk.fire("A")
    desk.step()
    with desk.state.begin() as unit:
        acknowledge(unit, "inc-1", "li", desk.now)
        with pytest.raises(IncidentError, match="is acknowledged already"):
            acknowledge(unit, "inc-1", "li", desk.now)
        with pytest.raises(IncidentError, match="no incident inc-9"):
            mitigate(unit, "inc-9", "x", desk.now)


@pytest.mark.parametrize("crash", ["before_clear", "after_clear"])
def test_resolve_is_never_lost_over_a_restart(desk: Desk, crash: str) -> None:
    a = desk.fire("A")
    assert desk.told() == [("firing", "new")]
    if crash == "before_clear":
        desk.restart()
    desk.clear(a)
    if crash == "after_clear":
        desk.restart()
    assert desk.told(3600) == [("resolved", "resolved")]
    desk.restart()
    assert desk.told(60) == []


class TornError(Exception):
    """The process dies before the commit."""


def torn_step(desk: Desk, seen: list[str]) -> None:
    with desk.state.begin() as unit:
        seen += [change.key for change in step(desk.now, unit, desk.settings)]
        raise TornError


def test_a_step_that_was_rolled_back_decides_the_same_again(desk: Desk) -> None:
    desk.fire("A")
    seen: list[str] = []
    with pytest.raises(TornError):
        torn_step(desk, seen)
    assert [change.key for change in desk.step()] == seen == ["inc-1/1/firing"]


class RandomLife:
    """Alerts come and go, people silence, the process restarts; every message is checked as it is decided."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.random = desk, Random(seed)
        self.firing: list[str] = []
        self.told: set[str] = set()
        self.raised = 0

    def turn(self, number: int) -> None:
        random, desk = self.random, self.desk
        if self.firing and random.random() < 0.45:
            desk.clear(self.firing.pop(random.randrange(len(self.firing))))
        if random.random() < 0.5:
            where = {"service": random.choice("abc"), "instance": random.choice("xy")}
            self.firing.append(desk.fire(f"R{number}", random.choice(list(Severity)), **where))
            self.raised += 1
        if random.random() < 0.1:
            silence(desk, ["service", "=", random.choice("abc")], minutes=2)
        if random.random() < 0.1:
            desk.restart()
        self.read(random.choice([5, 20, 60]))

    def read(self, after: float) -> None:
        for change in self.desk.step(after):
            if change.kind == "firing":
                self.told.add(change.incident.id)
            elif change.kind == "resolved":
                assert change.incident.id in self.told, "resolved without firing"
                self.told.remove(change.incident.id)


def test_nothing_is_lost_or_counted_twice_over_a_long_random_life(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s.db", Settings(reopen_within=timedelta(minutes=2)))
    life = RandomLife(desk, seed=20261122)
    for number in range(150):
        life.turn(number)
        ledger = desk.ledger()
        assert ledger.balanced
        assert ledger.raised == life.raised
    for alert_id in life.firing:
        desk.clear(alert_id)
    life.read(5)
    assert not life.told
    assert desk.ledger().waiting == 0
