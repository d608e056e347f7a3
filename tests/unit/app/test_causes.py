"""Where an incident of the running engine began: services that deviate, the graph between them, changes before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from plotly.utils import PlotlyJSONEncoder
from support.asking import asked
from support.engines import engine

from dashboard.client import Credentials
from dashboard.context import Caller, Principal
from dashboard.i18n import Words, zone_of
from dashboard.pages import incident_causes
from watchkeeper.app.engine import Engine
from watchkeeper.clock import SystemClock, to_ms
from watchkeeper.model import Alert, AlertState, Incident, IncidentState, Layout, Severity, Tick, labels

CATALOGUE = {
    "services": [
        {"name": "front", "depends_on": ["shop"]},
        {"name": "shop", "depends_on": ["stock"]},
        {"name": "stock"},
        {"name": "mail"},
    ]
}
#: Every minute for an hour and a quarter, the last four of them before the incident is opened: what is true, in
#: seconds, and its anomaly score.
CALM, SICK = [(0.1, 0.1), (0.12, 0.1)] * 36, [(2.0, 0.9)] * 4
HIGH = [(2.0, 0.9)] * 76
#: A score that jumps while the latency stays what it was.
CRY = CALM + [(0.1, 1.0), (0.12, 1.0)] * 2


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, catalogue=CATALOGUE) as found:
        yield found


def feed(house: Engine, course: Mapping[str, list[tuple[float, float]]], key: str = "service") -> None:
    layout = Layout(
        (
            *(labels("latency", {key: name}) for name in course),
            *(labels("watchkeeper_anomaly_score", {key: name}, metric="latency") for name in course),
        )
    )
    now = to_ms(house.clock.now())
    for place, column in enumerate(zip(*course.values(), strict=True)):
        values = np.array([*(latency for latency, _ in column), *(score for _, score in column)])
        at = now - 60_000 * (len(next(iter(course.values()))) - 1 - place)
        house.samples.append(Tick(target="shop", time_ms=at, layout=layout, values=values))


def opened(house: Engine, **own: str) -> None:
    now = house.clock.now()
    row = Incident(
        id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="slow", group_key="k", labels=own,
        opened_at=now, alert_ids=(), correlation_id="corr-1",
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.incidents.save(row, reason="opened", at=now)


def test_the_deepest_service_that_deviates_comes_first_and_others_outside_the_graph_are_left_out(house: Engine) -> None:
    feed(house, {"front": CALM + SICK, "shop": CALM + SICK, "stock": CALM + SICK, "mail": CALM + SICK})
    opened(house, service="front")
    found = asked(house, "/api/wk/incidents/inc-1/causes")["causes"]
    assert [one["service"] for one in found] == ["stock", "front", "shop"]
    assert found[0]["suffering"] == ["shop"]
    evidence = found[0]["evidence"][0]
    assert (evidence["kind"], evidence["metric"]) == ("latency", "latency")
    assert (evidence["before"], evidence["during"]) == (pytest.approx(0.11, abs=0.011), 2.0)
    assert found[1]["explained_by"] == "shop"


@pytest.mark.parametrize("stock", [HIGH, CRY], ids=["high all along", "a score alone"])
def test_what_did_not_move_is_no_evidence(house: Engine, stock: list[tuple[float, float]]) -> None:
    feed(house, {"shop": CALM + SICK, "stock": stock})
    opened(house, service="shop")
    assert [one["service"] for one in asked(house, "/api/wk/incidents/inc-1/causes")["causes"]] == ["shop"]


def test_explain_tells_them_before_the_chain_and_an_incident_without_service_has_none(house: Engine) -> None:
    feed(house, {"shop": CALM + SICK, "stock": CALM + CALM[:4]})
    opened(house, service="shop")
    text = asked(house, "/api/wk/explain/inc-1")["text"]
    assert re.fullmatch(r"cause 1: shop 0\.8\d: latency 0\.1\d* → 2", text[0])
    chinese = asked(house, "/api/wk/explain/inc-1?language=zh-CN")["text"]
    assert chinese[0].startswith("可能的起因 1：shop 0.8")
    opened(house, host="a")
    assert asked(house, "/api/wk/incidents/inc-1/causes") == {"causes": [], "groups": []}


def test_an_incident_of_a_host_is_looked_into_on_that_host(house: Engine) -> None:
    feed(house, {"a": CALM + SICK, "b": CALM + SICK}, key="instance")
    opened(house, instance="a", job="node")
    (found,) = asked(house, "/api/wk/incidents/inc-1/causes")["causes"]
    assert (found["service"], found["host"]) == ("a", True)
    assert found["evidence"][0]["during"] == 2.0
    who = Principal("ann", "admin", "en", "UTC", Credentials("s", "c"))
    caller = Caller(who, Words("en", zone_of("UTC")), "light", None, 5.0, SystemClock())  # type: ignore[arg-type]
    drawn = json.dumps(incident_causes.cards(caller, [found]), cls=PlotlyJSONEncoder)
    assert "/services/" not in drawn


@pytest.mark.parametrize(("language", "title"), [("en", "Where it began"), ("zh-CN", "可能的起因")])
def test_the_page_shows_each_with_what_speaks_for_it(house: Engine, language: str, title: str) -> None:
    feed(house, {"front": CALM + SICK, "shop": CALM + SICK, "stock": CALM + SICK})
    opened(house, service="front")
    who = Principal("ann", "admin", language, "UTC", Credentials("s", "c"))
    caller = Caller(who, Words(language, zone_of("UTC")), "light", None, 5.0, SystemClock())  # type: ignore[arg-type]
    found = asked(house, "/api/wk/incidents/inc-1/causes")["causes"]
    drawn = json.dumps(incident_causes.cards(caller, found), cls=PlotlyJSONEncoder, ensure_ascii=False)
    for expected in (title, "stock", "/services/stock", "latency", "→ 2"):
        assert expected in drawn
    assert incident_causes.cards(caller, []) == []


def alert(house: Engine, service: str, *, minutes: float, incident: str = "", fired: bool = True) -> None:
    at = house.clock.now() - timedelta(minutes=minutes)
    row = Alert(
        id=f"alert-{service}", fingerprint=service, rule=f"{service}-down", group="g", expr="up == 0",
        labels={"service": service}, annotations={}, state=AlertState.FIRING if fired else AlertState.PENDING,
        severity=Severity.P1, value=1.0, active_at=at, fired_at=at if fired else None, incident_id=incident,
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.alerts.save(row, reason="condition_met", at=at)


def services(house: Engine) -> list[str]:
    return [one["service"] for one in asked(house, "/api/wk/incidents/inc-1/causes")["causes"]]


def test_an_alert_speaks_for_its_service_where_no_series_does(house: Engine) -> None:
    feed(house, {"front": CALM + CALM[:4], "shop": CRY})
    opened(house, service="front")
    alert(house, "front", minutes=1, incident="inc-1")
    assert services(house) == []  # nothing but what everybody knows
    alert(house, "stock", minutes=2, fired=False)
    assert services(house) == ["front", "stock"]  # it waits for its time: half as strong, and nobody between them
    alert(house, "mail", minutes=1)
    assert "mail" not in services(house)


def test_the_incident_began_when_its_alert_was_first_true(house: Engine) -> None:
    early = CALM[:52] + [(2.0, 0.9)] * 24
    feed(house, {"shop": early, "stock": CALM + CALM[:4]})
    opened(house, service="shop")
    assert services(house) == []  # it has long been so
    alert(house, "shop", minutes=22, incident="inc-1")
    evidence = asked(house, "/api/wk/incidents/inc-1/causes")["causes"][0]["evidence"]
    assert [(one["kind"], one["during"]) for one in evidence] == [("alert", 1.0), ("latency", 2.0)]
