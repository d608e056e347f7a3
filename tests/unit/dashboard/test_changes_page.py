"""The page Changes and the card of an incident say what was changed, how old backups are, and what is not known."""

from __future__ import annotations

import pytest
from dash import html
from support import fake_changes
from support.fake_engine import FakeEngine
from support.pages import markup, reader

from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.pages import changes, incident, incident_charts


@pytest.fixture(params=["en", "zh-CN"])
def caller(request: pytest.FixtureRequest, served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, request.param)


async def test_the_page_says_figures_ages_releases_and_what_was_out_of_order(caller: Caller) -> None:
    text = markup(changes.body(caller, await caller.get("/api/wk/changes")))
    for key in ("changes.age.late", "changes.age.never", "changes.soak.roll_back", "changes.order.window",
                "changes.gate.grey", "changes.lead_time_seconds", "changes.status.unknown",
                "changes.calendar.freeze", "changes.calendar.now", "changes.order.freeze",
                "changes.versions.differ", "changes.verdict.failed"):  # fmt: skip
        assert caller.words(key) in text, key
    for said in ("orders-db", "abcdef123456", "https://ci.example.com/7", "25%", "90%"):
        assert said in text, said


async def test_without_events_the_page_says_how_to_tell_them(caller: Caller) -> None:
    data = {**fake_changes.changes(caller.now()), "events": [], "ages": [], "releases": [], "calendar": []}
    assert caller.words("changes.empty") in markup(changes.body(caller, data))


async def test_an_incident_names_what_was_changed_just_before(caller: Caller) -> None:
    text = markup(incident.body(caller, await caller.get("/api/wk/incidents/inc-2")))
    assert caller.words("incident.changes") in text
    assert caller.words("incident.changes.own") in text
    assert "event-7" in text


async def test_an_incident_shows_what_its_alerts_measured_with_the_deeds_of_that_time(caller: Caller) -> None:
    data = await caller.get("/api/wk/incidents/inc-2")
    charts = await incident_charts.ask(caller, data)
    assert incident_charts.measured(data) == ["api_response_times"]
    text = markup(html.Div(incident_charts.cards(caller, data, charts)))
    assert caller.words("incident.charts") in text
    assert caller.words("changes.kind.deploy") in text
    assert incident_charts.cards(caller, data, [{**charts[0], "series": []}]) == []


async def test_a_link_that_is_none_of_the_web_is_not_followed(caller: Caller) -> None:
    data = fake_changes.changes(caller.now())
    data["events"][0]["link"] = "javascript:alert(1)"
    assert "javascript:" not in markup(changes.body(caller, data))
