"""The page Detection asks whether alarms were right, shows what was taught and lets people take it back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from support import fake_detection
from support.fake_engine import FakeEngine
from support.pages import handlers, markup, reader

from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.page import Request
from dashboard.pages import detection, detection_alarms, detection_risk, detection_scored, incident
from dashboard.pages.detection_risk import MOST_SIGNS

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(params=["en", "zh-CN"])
def caller(request: pytest.FixtureRequest, served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, request.param)


async def test_alarms_are_asked_about_and_words_can_be_taken_back(caller: Caller) -> None:
    text = markup(detection.body(caller, await caller.get("/api/wk/alarms"), await caller.get("/api/wk/detectors")))
    for key in ("detection.right", "detection.wrong", "detection.expected", "detection.undo", "detection.any",
                "detection.kind.level_shift", "detection.why.wrong", "detection.day.1", "detection.every_metric",
                "detection.nobody"):  # fmt: skip
        assert caller.words(key) in text, key
    for said in (
        "nightly copy",
        "90%",
        "75%",
        "03:10",
        "Backup",
        "nobody could pay",
        "expected-1",
        "move-1",
        "41.5",
        "12.25",
        "7.5",
    ):
        assert said in text, said
    assert caller.words("detection.was_undone", who="bob") in text


def anomaly(at: int, metric: str, host: str = "web-1", **more: Any) -> dict[str, Any]:
    """Raised ``at`` seconds before the newest."""
    row = fake_detection.alarms(NOON, metric)["alarms"][1]
    raised = (NOON - timedelta(seconds=at)).isoformat()
    return {**row, "title": metric, "raised_at": raised, "labels": {**row["labels"], "instance": host}} | more


async def test_anomalies_of_one_host_within_minutes_are_one_entry_and_alerts_stand_alone(caller: Caller) -> None:
    alert = fake_detection.alarms(NOON, "Slow")["alarms"][0]
    rows = [
        anomaly(0, "cpu", factor=3.0),
        alert,
        anomaly(20, "disk", factor=80.0),
        anomaly(30, "load", host="web-2"),
        anomaly(500, "memory", factor=900.0, is_open=True),
        anomaly(1200, "network", factor=5.0),
    ]
    groups = [[row["title"] for row in group] for group in detection_alarms.bursts(rows)]
    assert groups == [["memory", "disk", "cpu"], ["Slow"], ["load"], ["network"]]
    text = markup(detection.alarms(caller, rows))
    assert caller.words("detection.more", count=2, metrics="disk, cpu") in text
    assert text.count("detection-undo") == 5, "a word on each can still be taken back"


async def test_with_nothing_to_show_every_card_says_how_to_begin(caller: Caller) -> None:
    data = fake_detection.detectors(caller.now())
    data |= {"figures": [], "expectations": [], "moves": [], "recorded": []}
    text = markup(detection.body(caller, {"alarms": []}, data))
    for part in ("alarms", "figures", "lessons", "moves", "recorded"):
        assert caller.words(f"detection.{part}.empty") in text


async def test_the_page_of_an_incident_asks_about_all_its_alarms_and_about_each(caller: Caller) -> None:
    text = markup(incident.layout(caller, "inc-1"))
    assert caller.words("detection.judge") in text
    assert "incident-say" in text
    assert "/detection/" in markup(incident.body(caller, await caller.get("/api/wk/incidents/inc-1")))


async def test_a_press_goes_to_the_engine_and_opening_the_link_of_a_message_says_nothing(
    served: tuple[FakeEngine, str], client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = reader(served[0], client, "en", name="operator")
    found = handlers(detection)
    before = len(served[0].calls)
    shown = markup(await found["refresh"][0](caller, 1, None, "alert-7"))
    assert "alert-7" in shown
    assert {one.partition(" ")[0] for one in served[0].calls[before:]} == {"GET"}
    monkeypatch.setattr(detection, "ctx", SimpleNamespace(triggered_id={"id": "alert-7", "verdict": "wrong"}))
    assert "Thank you" in markup(await found["say"][0](caller, [1]))
    monkeypatch.setattr(detection, "ctx", SimpleNamespace(triggered_id={"id": "word-1"}))
    assert "Undone" in markup(await found["undo"][0](caller, [1]))
    said = [one for one in served[0].calls[before:] if not one.startswith(("GET ", "POST "))]
    assert said == ["alert-7 wrong", "undo word-1"]


async def test_an_incident_that_nobody_told_of_is_recorded_on_the_readers_clock(
    served: tuple[FakeEngine, str], client: EngineClient
) -> None:
    caller = reader(served[0], client, "zh-CN", name="operator")
    record = handlers(detection)["record"][0]
    missing = caller.words("detection.record.missing")
    assert missing in markup(await record(caller, 1, "shop", "", "2026-06-01 09:15", ""))
    assert missing in markup(await record(caller, 1, "shop", "slow", "this morning", ""))
    assert missing in markup(await record(caller, 1, "shop", "slow", "2026-06-01 09:15", "noon"))
    assert not [one for one in served[0].calls if one.startswith("recorded")]
    said, *fields = await record(caller, 1, " shop ", "slow", "2026-06-01 09:15", "")
    assert caller.words("detection.record.done") in markup(said)
    assert fields == [""] * 4
    assert served[0].calls[-1] == "recorded shop 2026-06-01T09:15:00+08:00 None"
    assert "detection-record-began" in markup(detection.layout(caller, Request("/detection", "", {})))


async def test_the_risk_of_each_service_is_told_with_its_evidence_and_a_service_that_is_learned_about_has_none(
    caller: Caller,
) -> None:
    listed, data = await caller.get("/api/wk/alarms"), await caller.get("/api/wk/detectors")
    text = markup(detection.body(caller, listed, data, await caller.get("/api/wk/risk")))
    words = caller.words
    for said in ("87%", "0.0123", words("risk.state.learning"), words("risk.left.incidents", some=1, all=3),
                 words("risk.left.time", time=words.seconds(90 * 600)),
                 words("risk.seen", before=7, times=8), words("risk.never"), words("risk.of", some=7, all=8),
                 words("risk.do.exhaustion", service="search", what="rack disk")):  # fmt: skip
        assert said in text, said
    nothing = {"services": [], "more": 0, "advice": [], "horizon_seconds": 3600, "warn": 0.3}
    assert words("risk.empty") in markup(detection.body(caller, listed, data, nothing))


async def test_what_is_watched_is_told_with_its_detector_its_kind_and_what_is_still_learned(caller: Caller) -> None:
    text = markup(detection_scored.card(caller, await caller.get("/api/wk/scored")))
    words = caller.words
    for said in ("cpu_usage", "seasonal", words("scored.nature.counter"), words("scored.is_learning"), "0.31",
                 words("scored.count", name="ensemble", count="1")):  # fmt: skip
        assert said in text, said


async def test_of_many_signs_the_first_are_shown_and_the_others_counted(caller: Caller) -> None:
    data = await caller.get("/api/wk/risk")
    first, *others = data["services"]
    signs = [{**first["signs"][0], "what": f"metric-{number}"} for number in range(MOST_SIGNS + 3)]
    text = markup(detection_risk.cards(caller, {**data, "services": [{**first, "signs": signs}, *others]}))
    assert f"metric-{MOST_SIGNS - 1}" in text
    assert f"metric-{MOST_SIGNS}" not in text
    assert caller.words("risk.more", count=3) in text
    assert caller.words("risk.services_more", count=7) not in text
    text = markup(detection_risk.cards(caller, {**data, "more": 7}))
    assert caller.words("risk.services_more", count=7) in text


async def test_a_service_in_an_incident_is_not_called_calm(caller: Caller) -> None:
    data = await caller.get("/api/wk/risk")
    first, *_ = data["services"]
    text = markup(detection_risk.cards(caller, {**data, "services": [{**first, "state": "open", "risk": None}]}))
    assert caller.words("risk.state.open") in text
    assert caller.words("risk.state.calm") not in text
