"""The engine foretells failures: learned from what is kept, with evidence, as series and in a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.engines import clock_of, engine

from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.risk import Foretelling, _worth_reading, schedule
from watchkeeper.app.risk_cli import advice_of, lines_of
from watchkeeper.clock import to_ms
from watchkeeper.model import Event, EventKind, Incident, IncidentState, Labels, Layout, Severity, Tick, labels

CATALOGUE = {"services": [{"name": "shop", "depends_on": ["db"]}, {"name": "db", "pool": "rack"}]}
ALARM = labels("watchkeeper_anomaly_alarm", service="shop", metric="memory_usage", kind="trend")
NOISE = labels("watchkeeper_anomaly_alarm", service="shop", metric="cpu", kind="spike")


def anomaly(house: Engine, at: datetime, series: Labels = ALARM) -> None:
    house.samples.append(Tick(target="a", time_ms=to_ms(at), layout=Layout((series,)), values=np.array([1.0])))


def incident(house: Engine, number: int, at: datetime, service: str = "shop", *, is_open: bool = False) -> None:
    row = Incident(
        id=f"inc-{number}", state=IncidentState.OPENED if is_open else IncidentState.RESOLVED, severity=Severity.P1,
        title="down", group_key="k", labels={"service": service}, opened_at=at,
        resolved_at=None if is_open else at + timedelta(minutes=10), correlation_id="c",
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.incidents.save(row, reason="opened", at=at)


def past(house: Engine) -> None:
    """Three days, an incident of the shop every eight hours, a leak for half an hour before each."""
    start = house.clock.now() - timedelta(days=3)
    anomaly(house, start)
    for number in range(1, 9):
        at = start + timedelta(hours=8 * number)
        for minutes in (35, 25, 15):
            anomaly(house, at - timedelta(minutes=minutes))
        incident(house, number, at)


def stepped(house: Engine) -> dict[str, Any]:
    asyncio.run(house.foretelling.step(house.clock.now()))
    return {row["service"]: row for row in house.foretelling.view()["services"]}


def asked(house: Engine, query: str) -> list[float]:
    return [value for _, value in house.judging.ask(query, house.clock.now())]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, catalogue=CATALOGUE) as found:
        yield found


def test_a_service_nothing_is_known_of_says_learning_and_has_no_risk_of_0(house: Engine) -> None:
    row = stepped(house)["shop"]
    assert (row["state"], row["risk"], row["base"], row["incidents_needed"]) == ("learning", None, None, 3)
    assert asked(house, "watchkeeper_service_failure_risk") == []
    assert asked(house, 'watchkeeper_service_failure_learning{service="shop"}') == [1.0]
    assert next(iter(lines_of(row))).startswith("shop  learning: had 0 of the 3 incidents it takes, ")


def test_what_is_kept_of_the_past_is_learned_at_the_first_start_and_what_is_missed_at_the_next(house: Engine) -> None:
    past(house)
    calm = stepped(house)["shop"]
    assert calm["incidents"] == 8
    assert calm["state"] == "calm"
    assert calm["risk"] < 0.1
    clock_of(house).advance(timedelta(minutes=10, microseconds=123_456))
    anomaly(house, house.clock.now() - timedelta(minutes=1))
    row = stepped(house)["shop"]
    assert (row["state"], row["signs"][0]["what"], row["signs"][0]["how"]) == ("warning", "memory_usage", "trend")
    sign = row["signs"][0]
    assert (sign["before"], sign["times"]) == (8, 9), "once before each incident, not once a slot"
    assert asked(house, 'watchkeeper_service_failure_risk{service="shop"}') == [pytest.approx(row["risk"])]
    first, *_ = house.foretelling.view()["advice"]
    assert (first["service"], first["what"]) == ("shop", "memory_usage")
    told = row["worth"]
    assert told["hits"] >= 3
    assert told["skill"] > 0.3
    assert asked(house, 'watchkeeper_failure_prediction_brier_score{service="shop"}') == [pytest.approx(told["brier"])]
    lines = list(lines_of(row))
    assert "anomaly memory_usage trend" in lines[1]
    assert "Brier" in lines[-1]
    assert list(advice_of(house.foretelling.view()["advice"]))[:2] == [
        "What to look at first:",
        "   1 shop: anomaly memory_usage trend (stood in 9 hours, 8 of them before an incident)",
    ]
    kept = house.foretelling.watches["shop"].plain()
    house.foretelling = Foretelling(house)
    schedule(house, house.clock.now())
    (again,) = (row for row in house.foretelling.view()["services"] if row["service"] == "shop")
    assert again["risk"] == pytest.approx(row["risk"]), "the risk is told at once, not after the first look"
    clock_of(house).advance(timedelta(minutes=10))
    stepped(house)
    later = house.foretelling.watches["shop"]
    assert later.memory.incidents == kept["memory"]["incidents"]
    assert later.memory.slots >= kept["memory"]["slots"] - 0.1, "what was learned stays over a restart"


def test_a_sign_that_tells_nothing_is_no_advice(house: Engine) -> None:
    past(house)
    start = house.clock.now() - timedelta(hours=60)
    for number in range(8):
        anomaly(house, start + timedelta(hours=7 * number), NOISE)
    clock_of(house).advance(timedelta(minutes=10))
    anomaly(house, house.clock.now() - timedelta(minutes=1), NOISE)
    row = stepped(house)["shop"]
    assert [one["what"] for one in row["signs"]] == ["cpu"]
    assert house.foretelling.view()["advice"] == []


def test_services_in_trouble_come_first_and_those_beyond_the_limit_are_counted(house: Engine) -> None:
    past(house)
    incident(house, 9, house.clock.now() - timedelta(minutes=1), "db", is_open=True)
    stepped(house)
    found = house.foretelling.view(1)
    assert [row["service"] for row in found["services"]] == ["db"]
    assert found["more"] == 1
    assert [row["service"] for row in house.foretelling.view()["services"]] == ["db", "shop"]


def test_two_weeks_of_many_services_are_learned_although_one_query_may_not_load_them(
    house: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(house)
    asked = []

    def once(query: str, start: int, end: int, step: int) -> Any:
        asked.append((end - start) // step)
        return whole(query, start, end, step)

    whole = house.promql.range
    monkeypatch.setattr(house.promql, "range", once)
    assert stepped(house)["shop"]["incidents"] == 8
    assert len(asked) == 3
    assert max(asked) < 144, "a day at most"


def test_of_many_anomalies_the_advice_names_few_and_each_metric_once() -> None:
    def one(kind: str, what: str, how: str) -> dict[str, Any]:
        return {"service": "shop", "kind": kind, "what": what, "how": how}

    rows = [one("anomaly", f"m{at // 2}", str(at)) for at in range(20)] + [one("need", "db", "")]
    kept = [(row["kind"], row["what"], row["how"]) for row in _worth_reading(rows)]
    assert kept == [("anomaly", "m0", "0"), ("anomaly", "m1", "2"), ("anomaly", "m2", "4"), ("need", "db", "")]


def test_a_service_in_an_incident_has_no_risk_and_is_not_called_calm(house: Engine) -> None:
    past(house)
    clock_of(house).advance(timedelta(minutes=10))
    incident(house, 9, house.clock.now() - timedelta(minutes=1), is_open=True)
    row = stepped(house)["shop"]
    assert (row["state"], row["risk"]) == ("open", None)
    assert next(iter(lines_of(row))) == "shop  has an open incident"
    assert asked(house, 'watchkeeper_service_failure_risk{service="shop"}') == []
    assert asked(house, 'watchkeeper_service_failure_learning{service="shop"}') == [], "it has learned"


def test_an_incident_that_is_over_for_a_short_time_is_a_sign_of_the_next(house: Engine) -> None:
    incident(house, 1, house.clock.now() - timedelta(minutes=40))
    (sign,) = stepped(house)["shop"]["signs"]
    assert (sign["kind"], sign["what"], sign["how"]) == ("again", "down", "inc-1")
    clock_of(house).advance(timedelta(hours=2))
    assert stepped(house)["shop"]["signs"] == []


def test_changes_needs_in_trouble_and_what_runs_out_are_signs_with_their_evidence(house: Engine) -> None:
    now = house.clock.now()
    incident(house, 1, now - timedelta(minutes=5), "db", is_open=True)
    with house.state.begin() as unit:
        told = Event(kind=EventKind.DEPLOY, title="shop 2.1", version="2.1", start=now - timedelta(minutes=20),
                     service="shop")  # fmt: skip
        unit.events.add([told], at=now)
        row = {"pool": "rack", "resource": "disk", "earliest": (now + timedelta(hours=5)).isoformat()}
        payload = {"row": row, "charts": {}, "sampled_at_ms": to_ms(now)}
        unit.documents.put_forecast("capacity/rack/disk", payload, at=now)
    found = stepped(house)
    assert {(one["kind"], one["what"]) for one in found["shop"]["signs"]} == {("change", "shop 2.1"), ("need", "db")}
    assert [(one["kind"], one["what"]) for one in found["db"]["signs"]] == [("exhaustion", "rack disk")]
    ranked = [(one["kind"], one["service"]) for one in house.foretelling.view()["advice"]]
    assert ranked == [("exhaustion", "db"), ("need", "shop"), ("change", "shop")]
