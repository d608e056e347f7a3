"""The page Safety: all fifteen gates, what is used up, what is open, who acts."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.fake_safety import safety as told
from support.pages import handlers, reader, texts

from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.pages import safety

AT = "2026-03-02T04:00:00Z"
OFF = {"on": False, "by": "", "at": None, "reason": ""}


@pytest.fixture
def caller(served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, "en", name="admin", zone="UTC")


def said(caller: Caller, **changes: Any) -> str:
    return texts(safety.body(caller, {**told(OFF, AT, "x"), **changes}))


def test_gates_budgets_breakers_and_the_share_of_automation_are_shown(caller: Caller) -> None:
    shown = said(caller)
    for expected in ("5 / 5", "7 / 20", "Open", "Half-open", "80%", "acts, lease 7", "42:c0ffee", "the target rests"):
        assert expected in shown
    assert "Needed: the symptom stayed" in shown
    for gate in told(OFF, AT, "x")["gates"]:
        assert caller.words.gate(gate["gate"]) in shown


def test_what_is_not_there_yet_is_said(caller: Caller) -> None:
    nothing = {"automatic": 0, "approved": 0, "asked": 0, "by_hand": 0, "rate": None}
    shown = said(
        caller,
        breakers=[],
        foresight=[],
        hindsight=[],
        automation=nothing,
        leader={"alone": True, "leads": True, "token": 0},
    )
    for expected in (
        "All breakers are closed",
        "No plan was carried out",
        "No proposal was looked",
        "nothing was done yet",
        "the only one",
    ):
        assert expected in shown
    assert "waits; another one acts" in said(caller, leader={"alone": False, "leads": False, "token": 0})


async def test_the_page_asks_the_engine_and_says_how_the_switch_stands(caller: Caller) -> None:
    found, switch = await handlers(safety)["refresh"][0](caller, 0, None)
    assert "5 / 5" in texts(found)
    assert "12%" in texts(found)  # by how much figures were worse than plans had said
    assert "Not set" in texts(switch)
