"""The page Plans: clocks, the step that is being taken and whom to call, drills, and what came of earlier runs."""

from __future__ import annotations

import pytest
from support.fake_engine import FakeEngine
from support.fake_plans import plans as told
from support.fake_plans import run
from support.pages import handlers, markup, reader, texts

from dashboard import plan_runs
from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.pages import plans

AT = "2026-03-02T04:00:00Z"


@pytest.fixture
def caller(served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, "en", name="operator", zone="UTC")


def test_a_run_shows_its_clock_its_steps_and_whom_to_call(caller: Caller) -> None:
    shown = texts(plans.live(caller, told(AT, "x")))
    for expected in (
        "15 min of 30 min", "Step call", "Late", "Now: Step call", "Call them x", "Acme x", "+86 400 1", "C-7",
        "act-7 Succeeded", "action act-7 is verified", "Its trigger is met",
    ):  # fmt: skip
        assert expected.lower() in shown.lower(), expected


def test_a_person_speaks_for_the_step_that_is_taken_and_not_for_an_action_under_way(caller: Caller) -> None:
    words = ("Done", "Failed", "Leave out")
    assert all(word in texts(plan_runs.buttons(caller, run(AT, "x"))) for word in words)
    assert "Try again" not in texts(plan_runs.buttons(caller, run(AT, "x")))
    blocked = run(AT, "x")
    blocked["steps"][1]["state"] = "blocked"
    assert "Try again" in texts(plan_runs.buttons(caller, blocked))
    under_way = run(AT, "x")
    under_way["steps"][1] |= {"action_id": "act-9", "action_state": "awaiting_approval"}
    shown = texts(plan_runs.buttons(caller, under_way))
    assert "Done" not in shown
    assert "Call off" in shown


def test_plans_say_how_they_begin_and_how_old_their_drills_are(caller: Caller) -> None:
    shown = texts(plans.known(caller, told(AT, "x")["plans"]))
    for expected in ("CarrierDown, P1, team=x for 5 min", "never", "by hand", "90 s", "Drill"):
        assert expected in shown, expected


def test_what_is_over_has_its_evidence_and_drills_say_so(caller: Caller) -> None:
    shown = plans.past(caller, told(AT, "x")["recent"])
    assert "/plan-packs/plan-2.zip" in markup(shown)
    assert "Drill" in texts(shown)
    assert "4 min of 30 min" in texts(shown)


def test_a_viewer_presses_nothing(served: tuple[FakeEngine, str], client: EngineClient) -> None:
    viewer = reader(served[0], client, "zh-CN", name="viewer")
    assert '"disabled": true' in markup(plan_runs.buttons(viewer, run(AT, "x")))
    assert "步骤 call" in texts(plans.live(viewer, told(AT, "x")))


async def test_the_page_asks_the_engine_and_leaves_buttons_alone_that_did_not_change(caller: Caller) -> None:
    refresh = handlers(plans)["refresh"][0]
    live, _past, known, hands, fingerprint = await refresh(caller, 0, None, "")
    assert "plan-3" in texts(live)
    assert "carrier" in texts(known).lower()
    assert hands
    again = await refresh(caller, 1, None, fingerprint)
    assert again[2] is again[3]  # both are left as they are
