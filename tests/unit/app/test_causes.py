"""Where an incident of the running engine began: services that deviate, the graph between them, changes before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
from watchkeeper.model import Incident, IncidentState, Layout, Severity, Tick, labels

CATALOGUE = {
    "services": [
        {"name": "front", "depends_on": ["shop"]},
        {"name": "shop", "depends_on": ["stock"]},
        {"name": "stock"},
        {"name": "mail"},
    ]
}
#: Scores every minute for an hour and a quarter, the last ten of them during the incident.
CALM, SICK = [0.1] * 65, [0.9] * 10


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, catalogue=CATALOGUE) as found:
        yield found


def feed(house: Engine, scores: Mapping[str, list[float]]) -> None:
    layout = Layout(tuple(labels("watchkeeper_anomaly_score", metric="latency", service=name) for name in scores))
    now = to_ms(house.clock.now())
    for place, column in enumerate(zip(*scores.values(), strict=True)):
        at = now - 60_000 * (74 - place)
        house.samples.append(Tick(target="scores", time_ms=at, layout=layout, values=np.array(column)))


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
    assert found[0]["evidence"][0]["metric"] == "latency"
    assert found[0]["evidence"][0]["before"] == pytest.approx(0.1)
    assert found[1]["explained_by"] == "shop"


def test_a_score_that_was_high_all_along_is_no_evidence(house: Engine) -> None:
    feed(house, {"shop": CALM + SICK, "stock": [0.9] * 75})
    opened(house, service="shop")
    assert [one["service"] for one in asked(house, "/api/wk/incidents/inc-1/causes")["causes"]] == ["shop"]


def test_explain_tells_them_before_the_chain_and_an_incident_without_service_has_none(house: Engine) -> None:
    feed(house, {"shop": CALM + SICK, "stock": CALM + CALM[:10]})
    opened(house, service="shop")
    assert asked(house, "/api/wk/explain/inc-1")["text"][0] == "cause 1: shop 0.80: latency 0.80"
    opened(house, host="a")
    assert asked(house, "/api/wk/incidents/inc-1/causes") == {"causes": [], "groups": []}


@pytest.mark.parametrize(("language", "title"), [("en", "Where it began"), ("zh-CN", "可能的起因")])
def test_the_page_shows_each_with_what_speaks_for_it(house: Engine, language: str, title: str) -> None:
    feed(house, {"front": CALM + SICK, "shop": CALM + SICK, "stock": CALM + SICK})
    opened(house, service="front")
    who = Principal("ann", "admin", language, "UTC", Credentials("s", "c"))
    caller = Caller(who, Words(language, zone_of("UTC")), "light", None, 5.0, SystemClock())  # type: ignore[arg-type]
    found = asked(house, "/api/wk/incidents/inc-1/causes")["causes"]
    drawn = json.dumps(incident_causes.cards(caller, found), cls=PlotlyJSONEncoder, ensure_ascii=False)
    for expected in (title, "stock", "/services/stock", "latency", "0.1 → 0.9"):
        assert expected in drawn
    assert incident_causes.cards(caller, []) == []
