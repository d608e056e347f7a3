"""What people say of alarms is kept, teaches, moves limits, is counted, and can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from support.engines import clock_of, engine

from incidents.ledger import read_ledger
from watchkeeper.access import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.score import ALARM, EXPECTED
from watchkeeper.clock import to_ms
from watchkeeper.model import Alert, AlertState, Layout, Matrix, Severity, Tick, labels, metric_name

WEEK = timedelta(days=7)
SERIES = labels("cpu_usage", service="shop")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


class Person:
    """One operator at the API."""

    def __init__(self, house: Engine, role: Role = Role.OPERATOR) -> None:
        token, _ = create_system_token(house.state, "wang", role, now=house.clock.now())
        self.api = TestClient(create(house), headers={"Authorization": f"Bearer {token}"})

    def get(self, path: str) -> dict[str, Any]:
        answer = self.api.get(f"/api/wk/{path}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def post(self, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
        answer = self.api.post(f"/api/wk/{path}", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def say(self, alarm: str, verdict: str, **more: Any) -> dict[str, Any]:
        return dict(self.post(f"alarms/{alarm}/verdict", verdict=verdict, **more)["words"][0])


def fire(house: Engine, rule: str = "Slow", expr: str = "latency > 1", service: str = "shop") -> str:
    """An alert that has fired now."""
    now = house.clock.now()
    with house.state.begin() as unit:
        alert = Alert(
            id=unit.alerts.new_id(), fingerprint=f"{rule}/{service}", rule=rule, group="g", expr=expr,
            labels={"alertname": rule, "service": service}, annotations={}, state=AlertState.FIRING,
            severity=Severity.P1, value=2.0, active_at=now - timedelta(minutes=1), fired_at=now, last_evaluated_at=now,
            correlation_id="c",
        )  # fmt: skip
        unit.alerts.save(alert, reason="condition_held", at=now)
        house.judging.follow(now, unit, ())
    return alert.id


def clear(house: Engine, alert_id: str) -> None:
    now = house.clock.now()
    with house.state.begin() as unit:
        alert = unit.alerts.get(alert_id)
        assert alert is not None
        unit.alerts.save(replace(alert, state=AlertState.RESOLVED, resolved_at=now), reason="over", at=now)
        house.judging.follow(now, unit, ())


def outcomes(house: Engine) -> dict[str, int]:
    with house.state.read() as unit:
        return {name: count for name, count in read_ledger(unit).outcomes().items() if count}


def calm(house: Engine, chance: np.random.Generator, minutes: int) -> None:
    for _ in range(minutes):
        sample(house, 50 + chance.normal())


def sample(house: Engine, value: float) -> list[str]:
    """One minute later one sample, scored and kept; names of the alarm series there are now."""
    clock_of(house).advance(timedelta(minutes=1))
    tick = Tick(target="t", time_ms=to_ms(house.clock.now()), layout=Layout((SERIES,)), values=np.array([value]))
    told = house.scoring.ticks(tick)
    for one in told:
        house.samples.append(one)
    rows = [zip(one.layout.series, one.values.tolist(), strict=True) for one in told[1:]]
    return [metric_name(series) for each in rows for series, value in each if value == value]


def test_a_word_on_an_alert_is_kept_with_actor_and_time_and_can_be_taken_back(house: Engine) -> None:
    person, alarm = Person(house), fire(house)
    word = person.say(alarm, "right", note="disk was full")
    assert (word["opinion"], word["actor"], word["note"]) == ("right", "system:wang", "disk was full")
    assert datetime.fromisoformat(word["at"]) == house.clock.now()
    row = person.get("alarms")["alarms"][0]
    assert (row["id"], row["detector"], row["service"], row["word"]["id"]) == (alarm, "Slow", "shop", word["id"])
    person.post(f"feedback/{word['id']}/undo", 200)
    assert person.get("alarms")["alarms"][0]["word"] is None
    person.post(f"feedback/{word['id']}/undo", 409)
    with house.state.read() as unit:
        kept = unit.feedback.words(house.clock.now() - WEEK)
        assert [(one.id, one.undone_by) for one in kept] == [(word["id"], "system:wang")]
        assert {"feedback", "undo_feedback"} <= {one.action for one in unit.audit.newest(10)}


def test_a_second_word_takes_the_place_of_the_first(house: Engine) -> None:
    person, alarm = Person(house), fire(house)
    person.say(alarm, "wrong")
    person.say(alarm, "right")
    (row,) = [one for one in person.get("detectors")["figures"] if one["detector"] == "Slow"]
    assert (row["right"], row["wrong"], row["precision"]) == (1, 0, 1.0)


def test_a_word_on_an_incident_is_one_on_each_of_its_alarms(house: Engine) -> None:
    person = Person(house)
    alarms = {fire(house), fire(house, rule="Errors")}
    found = person.post("alarms/inc-1/verdict", verdict="right")["words"]
    assert {one["alarm"] for one in found} == alarms
    assert {one["alarm"] for one in [row["word"] for row in person.get("alarms/inc-1")["alarms"]]} == alarms
    assert {row["word"]["opinion"] for row in person.get("incidents/inc-1")["alerts"]} == {"right"}
    person.post(f"feedback/{found[0]['id']}/undo", 200)
    words = {row["id"]: row["word"] for row in person.get("incidents/inc-1")["alerts"]}
    assert words[found[0]["alarm"]] is None


def test_who_may_only_read_says_nothing_and_what_is_not_there_is_named(house: Engine) -> None:
    alarm = fire(house)
    Person(house, Role.VIEWER).post(f"alarms/{alarm}/verdict", 403, verdict="right")
    person = Person(house)
    assert "alert-99" in person.post("alarms/alert-99/verdict", 404, verdict="right")["error"]
    person.post("feedback/word-99/undo", 404)
    person.post(f"alarms/{alarm}/verdict", 422, verdict="perhaps")
    person.post(f"alarms/{alarm}/verdict", 400, verdict="expected", lasting="a while")
    person.post("recorded", 400, service="shop", what="down", began_at="2030-01-01T00:00:00Z")


def test_an_expected_alert_is_not_told_at_its_hour_of_the_week_and_is_at_any_other(house: Engine) -> None:
    person, first = Person(house), fire(house)
    assert outcomes(house) == {"notified": 1}
    clock_of(house).advance(timedelta(minutes=20))
    clear(house, first)
    word = person.say(first, "expected")
    clock_of(house).advance(WEEK - timedelta(minutes=15))
    again = fire(house)
    assert outcomes(house) == {"notified": 1, "expected": 1}
    clear(house, again)
    clock_of(house).advance(timedelta(hours=3))
    other = fire(house)
    assert outcomes(house) == {"notified": 2, "expected": 1}
    clear(house, other)
    (shown,) = person.get("detectors")["expectations"]
    assert (shown["title"], shown["feedback"], shown["actor"]) == ("Slow", word["id"], "system:wang")
    person.post(f"feedback/{shown['id']}/undo", 200)
    assert person.get("detectors")["expectations"] == []
    clock_of(house).advance(WEEK - timedelta(hours=3))
    fire(house)
    assert outcomes(house) == {"notified": 3, "expected": 1}


def test_what_is_expected_is_told_when_it_lasts_much_longer_or_its_time_is_over(house: Engine) -> None:
    person, first = Person(house), fire(house)
    clock_of(house).advance(timedelta(minutes=20))
    clear(house, first)
    person.say(first, "expected", lasting="10d")
    clock_of(house).advance(WEEK - timedelta(minutes=20))
    again = fire(house)
    assert outcomes(house) == {"notified": 1, "expected": 1}
    clock_of(house).advance(timedelta(hours=1, minutes=1))
    house.judging.tend(house.clock.now())
    assert outcomes(house) == {"notified": 2}
    clear(house, again)
    clock_of(house).advance(WEEK - timedelta(hours=1, minutes=1))
    fire(house)
    assert outcomes(house) == {"notified": 3}


def test_taking_a_word_back_takes_back_what_it_taught(house: Engine) -> None:
    person, alarm = Person(house), fire(house)
    word = person.say(alarm, "expected")
    person.post(f"feedback/{word['id']}/undo", 200)
    assert person.get("detectors")["expectations"] == []


def test_an_anomaly_that_is_expected_is_no_alarm_at_its_hour_unless_it_is_far_larger(tmp_path: Path) -> None:
    plain = {"season": False, "false_alarms_a_day": 10.0}  # its limit does not rise by what is told here
    with engine(tmp_path, scoring={"options": plain}) as house:
        chance, person = np.random.default_rng(3), Person(house)
        calm(house, chance, 200)
        assert ALARM[0] in sample(house, 90.0)
        (alarm,) = person.get("alarms")["alarms"]
        assert (alarm["id"][:8], alarm["detector"], alarm["service"], alarm["title"]) == (
            "anomaly-", "ensemble", "shop", "cpu_usage"
        )  # fmt: skip
        person.say(alarm["id"], "expected")
        clock_of(house).advance(WEEK - timedelta(minutes=30))
        calm(house, chance, 29)
        assert sample(house, 90.0) == [EXPECTED]
        clock_of(house).advance(WEEK - timedelta(minutes=30))
        calm(house, chance, 29)
        assert ALARM[0] in sample(house, 400.0)


def test_wrong_alarms_raise_the_limit_of_their_metric_within_bounds_and_every_move_is_kept(house: Engine) -> None:
    chance, person = np.random.default_rng(3), Person(house)
    calm(house, chance, 200)
    sample(house, 90.0)
    alarm = person.get("alarms")["alarms"][0]["id"]
    word = person.say(alarm, "wrong")
    (move,) = person.get("detectors")["moves"]
    told = {name: move[name] for name in ("detector", "service", "metric", "old", "new", "why", "actor", "feedback")}
    assert told == {"detector": "ensemble", "service": "shop", "metric": "cpu_usage", "old": 0.0, "new": 0.4,
                    "why": "wrong", "actor": "system:wang", "feedback": word["id"]}  # fmt: skip
    assert house.scoring.taught.moved([SERIES, labels("mem", service="shop")]).tolist() == [0.4, 0.0]
    calm(house, chance, 1)
    assert house.scoring._lanes["t"].state.rows["alarm_moved"].tolist() == [0.4]
    person.post(f"feedback/{move['id']}/undo", 200)
    newest, oldest = person.get("detectors")["moves"]
    assert (newest["old"], newest["new"], newest["why"], newest["feedback"]) == (0.4, 0.0, "undone", move["id"])
    assert oldest["undone_by"] == "system:wang"
    assert house.scoring.taught.moved([SERIES]).tolist() == [0.0]


def test_words_on_alarms_of_another_detector_count_for_it_and_move_its_limit(tmp_path: Path) -> None:
    overrides = [{"match": {"metric": "cpu_.*"}, "detector": "ewma"}]
    with engine(tmp_path, scoring={"overrides": overrides}) as house:
        chance, person = np.random.default_rng(3), Person(house)
        calm(house, chance, 200)
        sample(house, 190.0)
        (alarm,) = person.get("alarms")["alarms"]
        assert (alarm["detector"], alarm["title"]) == ("ewma", "cpu_usage")
        person.say(alarm["id"], "wrong")
        (move,) = person.get("detectors")["moves"]
        assert (move["detector"], move["new"]) == ("ewma", 0.4)
        assert house.scoring.taught.moved([SERIES]).tolist() == [0.4]
        (row,) = [one for one in person.get("detectors")["figures"] if one["detector"] == "ewma"]
        assert row["wrong"] == 1


def test_limits_stay_within_their_bounds_however_often_people_say_so(house: Engine) -> None:
    person, now = Person(house), house.clock.now()
    for _ in range(9):
        person.say(fire(house, expr="watchkeeper_anomaly_alarm == 1"), "wrong")
    assert person.get("detectors")["bounds"] == [-1.0, 3.0]
    with house.state.read() as unit:
        moves = unit.feedback.moves()
    assert max(one.new for one in moves) == 3.0
    assert len(moves) == 8, "a move that changes nothing is none"
    for minute in range(11):
        person.post("recorded", service="shop", what="down", began_at=f"2026-02-0{1 + minute % 9}T00:00:00Z")
    assert now == house.clock.now()
    with house.state.read() as unit:
        assert min(one.new for one in unit.feedback.moves()) == -1.0


def test_a_raised_limit_holds_back_what_would_have_been_an_alarm(house: Engine) -> None:
    def rings(moved: float) -> bool:
        chance = np.random.default_rng(5)
        detector = house.detector
        values = np.concatenate([50 + chance.normal(size=120), [90.0]])
        times = np.arange(121, dtype=np.int64) * 60_000
        matrix = Matrix(
            series=(SERIES,), times=times[:120], values=values[None, :120], present=np.ones((1, 120), np.bool_)
        )
        state: Any = detector.fit(matrix)
        state.rows["alarm_moved"] = np.array([moved])
        last = Matrix(series=(SERIES,), times=times[120:], values=values[None, 120:], present=np.ones((1, 1), np.bool_))
        _, scores = detector.update(state, last)
        assert scores.alarm is not None
        return bool(scores.alarm[0, 0])

    assert rings(0.0)
    assert not rings(20.0)


def test_precision_recall_and_time_to_detect_of_each_detector_and_service_are_shown_and_are_series(
    house: Engine,
) -> None:
    person = Person(house)
    began = (house.clock.now() - timedelta(minutes=10)).isoformat()
    for verdict in ("right", "right", "right", "wrong"):
        alarm = fire(house)
        person.say(alarm, verdict, **({"began_at": began} if verdict == "right" else {}))
        clear(house, alarm)
        clock_of(house).advance(timedelta(hours=1))
        began = (house.clock.now() - timedelta(minutes=10)).isoformat()
    early = (house.clock.now() - timedelta(days=2)).isoformat()
    person.post("recorded", service="shop", what="nobody told us", began_at=early)
    rows = {one["detector"]: one for one in person.get("detectors")["figures"]}
    row = rows["Slow"]
    assert (row["precision"], row["found"], row["missed"], row["recall"]) == (0.75, 3, 1, 0.75)
    assert row["low"] == pytest.approx(0.300, abs=0.001)  # Wilson's interval of 3 in 4
    assert row["high"] == pytest.approx(0.954, abs=0.001)
    assert row["time_to_detect_seconds"] == 600.0
    assert row["enough"] is False
    assert rows["any"]["missed"] == 1
    asyncio.run(house.hearing.step(house.clock.now()))
    asked = house.judging.ask('watchkeeper_detector_precision{detector="Slow",service="shop"}', house.clock.now())
    assert [value for _, value in asked] == [0.75]
    for name in ("recall", "time_to_detect_seconds", "verdicts", "missed_incidents"):
        assert house.judging.ask(f'watchkeeper_detector_{name}{{detector="Slow"}}', house.clock.now()), name


def test_a_recorded_incident_that_an_alarm_preceded_was_found_and_one_that_none_did_was_missed(house: Engine) -> None:
    person, at = Person(house), house.clock.now()
    fire(house)
    clock_of(house).advance(timedelta(minutes=30))
    seen = person.post("recorded", service="shop", what="slow", began_at=(at - timedelta(minutes=2)).isoformat())
    assert seen["found"] == {"Slow": at.isoformat()}
    other = person.post("recorded", service="mail", what="down", began_at=at.isoformat())
    assert other["found"] == {}
    rows = {(one["detector"], one["service"]): one for one in person.get("detectors")["figures"]}
    assert rows["Slow", "shop"]["recall"] == 1.0
    assert rows["Slow", "shop"]["time_to_detect_seconds"] == 120.0
    assert rows["any", "mail"]["recall"] == 0.0
    person.post(f"feedback/{other['id']}/undo", 200)
    rows = {(one["detector"], one["service"]): one for one in person.get("detectors")["figures"]}
    assert ("any", "mail") not in rows


def test_where_nobody_said_anything_there_is_no_figure(house: Engine) -> None:
    fire(house)
    assert Person(house).get("detectors")["figures"] == []
    asyncio.run(house.hearing.step(house.clock.now()))
    assert not house.judging.ask("watchkeeper_detector_precision", house.clock.now())


def test_what_was_taught_stays_over_a_restart(tmp_path: Path) -> None:
    with engine(tmp_path) as house:
        person = Person(house)
        person.say(fire(house, expr="watchkeeper_anomaly_alarm == 1"), "wrong")
        person.say(fire(house), "expected")
    with engine(tmp_path) as house:
        assert house.scoring.taught.limits == {("shop", ""): 0.4}
        assert list(house.scoring.taught.expected) == ["Slow/shop"]
