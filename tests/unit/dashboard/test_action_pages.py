"""The pages around actions: a plan's change and prediction, dual links and ladders, scaling, the audit, the switch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support import fake_actions
from support.fake_engine import FakeEngine, quality_link
from support.pages import handlers, markup, reader, texts

from dashboard import audit_rows, link_cards, link_history, plan_cards, scale_rules, switch_card, tuning_cards, widgets
from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.page import Request
from dashboard.pages import actions, audit, dual_links, scaling

AT = "2026-03-02T04:00:00Z"
OFF = {"on": False, "by": "", "at": None, "reason": ""}


@pytest.fixture
def caller(served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, "en", name="admin", zone="UTC")


def links(**changes: Any) -> dict[str, Any]:
    found = fake_actions.links(quality_link(), AT, "x", None)
    return {**found, "links": [{**found["links"][0], **changes}]}


def pool(**changes: Any) -> dict[str, Any]:
    return {**fake_actions.scaling(OFF, AT, "x")["pools"][0], **changes}


# --- plans -----------------------------------------------------------------------------------------------------------


async def test_a_waiting_plan_shows_what_changes_what_it_predicts_and_all_that_speaks_against_it(
    caller: Caller,
) -> None:
    rows = (await caller.get("/api/wk/actions"))["actions"]
    said = texts(actions.waiting(caller, rows[:1]))
    for expected in (
        "web-2.state\nready\ndrain\nready", "0.4 now, expected at most 0.1", "1 → 1.5 (+0.5)", "web-1",
        "What speaks against it", "0 of 1 people approved",
    ):  # fmt: skip
        assert expected in said, expected


async def test_a_finished_action_shows_what_was_measured_beside_what_was_said(caller: Caller) -> None:
    rows = (await caller.get("/api/wk/actions"))["actions"]
    said = texts(plan_cards.summary(caller, rows[1]))
    for expected in ("measured 0.15, off by 50%", "3 (plus 1 not checked yet) said, 3 found", "Otherwise"):
        assert expected in said, expected


def test_costs_are_told_as_far_as_they_were_declared(caller: Caller) -> None:
    assert plan_cards.money(caller, None) == "not declared"
    assert plan_cards.money(caller, {"change": -0.5}) == "−0.5"
    assert "changes nothing" in texts(plan_cards.difference(caller, {}))
    assert plan_cards.prediction(caller, {"plan": {}, "progress": {}}) is None


# --- dual links ------------------------------------------------------------------------------------------------------


def test_a_link_shows_who_serves_why_each_score_is_what_it_is_and_what_each_side_costs(caller: Caller) -> None:
    said = texts(dual_links.body(caller, links()))
    for expected in (
        "Dual link maps", "Backup serves", "87.5", "mostly Latency", "−12.5 of 25", "P95 2.8 s", "100% good",
        "1 errors in 60 probes", "not measured: Success · Latency · Freshness · Error mix", "2.5 an hour",
    ):  # fmt: skip
        assert expected in said, expected
    assert "Not rated yet" in texts(link_cards.providers(caller, links(providers=[])["links"][0]))
    free = links(costs={"primary": 0.0, "backup": 0.0})["links"][0]
    assert link_cards.cost(caller.words, free, "primary") == "Unknown"


def test_a_link_shows_its_circuit_its_switches_its_flaps_and_what_the_way_back_waits_for(caller: Caller) -> None:
    said = texts(dual_links.body(caller, links()))
    for expected in (
        "Half-open", "Switches ever\n7", "Flaps among them\n2", "1 of 5 in 10 min", "9 of 10", "4 min left of 5 min",
        "over, 10 min", "✕\n?\n✓", "maps-b", "x (Automatic)",
    ):  # fmt: skip
        assert expected in said, expected
    home = texts(dual_links.body(caller, links(phase="primary", history=[], rules=[], since=None)))
    for expected in ("there is no way back to go", "Never switched", "it is never switched", "since it is known"):
        assert expected in home, expected
    pin = {"side": "backup", "user": "ada", "reason": "contract"}
    assert link_history.pinned(caller, pin) == "to the backup by ada: contract"


def test_a_ladder_shows_its_level_its_time_and_which_conditions_hold(caller: Caller) -> None:
    said = texts(dual_links.body(caller, links()))
    for expected in ("Now: CACHED", "25 s of 30 s", "holds now", "cannot be known", "the best level", "No step in 90"):
        assert expected in said, expected


async def test_a_link_is_pinned_with_a_reason_and_never_without(
    caller: Caller, served: tuple[FakeEngine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (press,) = handlers(dual_links)["pin"]
    ids = [{"type": "link-reason", "link": "maps"}]

    def pressed(side: str) -> None:
        name = {"type": "link-pin", "link": "maps", "side": side}
        monkeypatch.setattr(dual_links, "ctx", SimpleNamespace(triggered_id=name))

    pressed("backup")
    assert "give a reason" in texts(await press(caller, [1], ["  "], ids))
    assert served[0].pin is None
    assert "Pinned to the backup" in texts(await press(caller, [1], ["contract"], ids))
    assert served[0].pin == {"side": "backup", "user": "admin", "reason": "contract"}
    pressed("free")
    await press(caller, [1], ["over"], ids)
    assert served[0].pin is None


async def test_what_is_typed_stays_while_the_links_are_the_same(caller: Caller) -> None:
    (refresh,) = handlers(dual_links)["refresh"]
    _, fields, names = await refresh(caller, 0, None, None)
    assert "Reason for maps" in markup(fields)
    _, again, _ = await refresh(caller, 1, None, names)
    assert type(again).__name__ == "NoUpdate"


@pytest.mark.parametrize("remedies", [["drain-web1"], []])
async def test_where_there_is_nothing_to_ask_for_the_page_says_so_instead_of_a_form(
    caller: Caller, served: tuple[FakeEngine, str], remedies: list[str]
) -> None:
    served[0].remedies = remedies
    *_, form_hidden, word_hidden = await handlers(actions)["refresh"][0](caller, 1, None, None, None, [], [], [])
    assert (form_hidden, word_hidden) == (not remedies, bool(remedies))
    assert "Write one under `remediations`" in texts(actions.layout(caller, Request("/actions", "", {})))


async def test_an_action_is_asked_for_with_a_reason_and_never_without(
    caller: Caller, served: tuple[FakeEngine, str]
) -> None:
    ask = handlers(actions)["ask"][-1]
    for rule, reason in ((None, "x"), ("drain-web1", " ")):
        said, *_ = await ask(caller, 1, rule, reason, [])
        assert "Choose a rule" in texts(said)
    assert served[0].asked is None
    said, typed, waived = await ask(caller, 1, "drain-web1", "its disk", ["cooldown"])
    assert ("the gates decide" in texts(said), typed, waived) == (True, "", [])
    assert served[0].asked == {"rule": "drain-web1", "user": "admin", "reason": "its disk", "waive": ["cooldown"]}


def test_an_action_whose_target_is_not_resolved_yet_has_no_class(caller: Caller) -> None:
    assert widgets.risk(caller, {"risk": "A4", "targets": ["web"]}).startswith("A4")
    assert widgets.risk(caller, {"risk": "A4", "targets": []}) == "—"


# --- scaling ---------------------------------------------------------------------------------------------------------


async def test_a_pool_shows_number_inputs_limits_cost_waits_and_why_the_last_decision_was_made(caller: Caller) -> None:
    said = texts(scaling.body(caller, await caller.get("/api/wk/scaling")))
    for expected in (
        "load 300, 40 each: 8 needed", "forecast 320", "schedule: at least 4 now", "4 to 6 now", "declared 2 to 8",
        "1.5 of 3", "cooldown: 90 s left of 10 min", "stabilisation: not begun, 5 min", "3 → 6",
        "Data missing: stays", "nobody is taken away",
    ):  # fmt: skip
        assert expected in said, expected


@pytest.mark.parametrize(
    ("changes", "pool_changes", "frozen", "state"),
    [
        ({}, {}, True, "frozen"), ({"unknown": ["no load"]}, {}, False, "missing"),
        ({}, {"hands_off_seconds": 60.0}, False, "rival"), ({"wanted": 3}, {}, False, "at_most"),
        ({"wanted": 3, "needed": 3}, {}, False, "enough"), ({"guard": "tripped"}, {}, False, "guard"),
        ({}, {}, False, "waits"), ({"cooldown_left_seconds": 0.0}, {}, False, "changes"),
        ({"cooldown_left_seconds": 0.0, "direction": "in", "stabilisation_seconds": 300.0}, {}, False, "waits"),
    ],
)  # fmt: skip
def test_the_first_thing_that_keeps_the_number_as_it_is_is_named(
    changes: dict[str, Any],
    pool_changes: dict[str, Any],
    frozen: bool,
    state: str,
) -> None:
    rule = {**pool()["rules"][0], **changes}
    assert scale_rules.state_of(pool(**pool_changes), rule, frozen=frozen)[0] == state


def test_what_keeps_a_whole_pool_as_it_is_stands_on_top(caller: Caller) -> None:
    data = fake_actions.scaling({**OFF, "on": True}, AT, "x")
    data["pools"] = [pool(problem="an autoscaler governs it", hands_off_seconds=1200.0, running=None)]
    said = texts(scaling.body(caller, data))
    for expected in ("The kill switch is set", "an autoscaler governs it", "hands off for another 20 min"):
        assert expected in said, expected
    assert "No scaling rule" in texts(scaling.body(caller, {**data, "pools": []}))


async def test_advice_is_shown_and_a_change_is_recorded_with_what_was_done(
    caller: Caller, served: tuple[FakeEngine, str]
) -> None:
    (tuning,), (record,) = (handlers(scaling)[name] for name in ("tuning", "record"))
    shown, choices = await tuning(caller, 0, None)
    said = texts(shown)
    for expected in (
        "Jobs wait long", "5 min, limit 1 min", "50%, at least 80%", "More workers", "Improved", "5 min → 20 s",
        "better by 93.3%",
    ):  # fmt: skip
        assert expected in said, expected
    assert "say what was done" in texts((await record(caller, 1, None, "x"))[0])
    notice, emptied = await record(caller, 1, choices[0]["value"], "four workers more")
    assert "measured from now on" in texts(notice)
    assert emptied == ""
    assert served[0].tuned[-1]["kind"] == "queue_wait"
    assert "Not known yet" in texts((await tuning(caller, 0, None))[0])
    assert "Nothing to advise" in texts(tuning_cards.cards(caller, {"advice": [], "applied": []}))


# --- audit -----------------------------------------------------------------------------------------------------------


def chain(**changes: Any) -> dict[str, Any]:
    return {**fake_actions.audit(AT, "x", "ab" * 32, actor="", before=None), **changes}


def test_the_chain_says_whether_it_holds_since_when_and_where_its_heads_are(caller: Caller) -> None:
    said = texts(audit_rows.chain(caller, chain()))
    for expected in ("Chain intact", "2026-03-02 04:00:00", "Heads kept elsewhere, compared\n4", "File"):
        assert expected in said, expected
    assert "Row 5 does not fit" in texts(audit_rows.chain(caller, chain(broken_at=5, intact=False)))
    lost = chain(missing_head={"row": 9, "hash": "c0ffee"}, intact=False)
    assert "Row 9 was c0ffee" in texts(audit_rows.chain(caller, lost))
    bare = texts(audit_rows.chain(caller, chain(heads_configured=False, heads_unread="no such file")))
    assert "a cut tail would not show" in bare
    assert "not read: no such file" in bare
    assert "within a minute" in texts(audit_rows.chain(caller, chain(heads_sent=[])))


def test_rows_are_named_and_long_details_folded(caller: Caller) -> None:
    rows = [*chain()["rows"], {"seq": 6, "at": AT, "actor": "engine", "action": "action.succeeded", "subject": "act-2",
                               "detail": {"plan": "x" * 500}}]  # fmt: skip
    drawn = audit_rows.table(caller, rows)
    assert "Action: Succeeded" in texts(drawn)
    assert len([part for part in drawn._traverse() if getattr(part, "_type", "") == "Details"]) == 1
    assert "No row fits" in texts(audit_rows.table(caller, []))


async def test_filters_pages_and_the_file_follow_what_is_asked(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    (refresh,) = handlers(audit)["refresh"]

    def pressed(name: str | None) -> None:
        monkeypatch.setattr(audit, "ctx", SimpleNamespace(triggered_id=name))

    pressed(None)
    state, rows, before, following, file, last = await refresh(
        caller, 0, None, "", None, "", None, None, None, None, None
    )
    assert "Chain intact" in texts(state)
    assert (before, following, last) == ("", "7", False)
    pressed("audit-older")
    _, rows, before, following, _, last = await refresh(caller, 0, None, "", None, "", None, 1, None, "", "7")
    assert "Link pinned" in texts(rows)
    assert (before, following, last) == ("7", "", True)
    pressed("audit-actor")
    _, rows, before, _, file, _ = await refresh(caller, 0, None, " bob ", "links", "", "1d", 1, None, "7", "")
    assert before == ""
    assert "bob" in texts(rows)
    assert file.href.startswith("/audit.jsonl?actor=bob&action=link.&since=")


async def test_the_chain_is_read_whole_when_a_person_asks(caller: Caller) -> None:
    (verify,) = handlers(audit)["verify"]
    assert "7 rows read: the chain holds." in texts(await verify(caller, 1))


# --- the switch ------------------------------------------------------------------------------------------------------


def test_the_switch_says_who_set_it(caller: Caller) -> None:
    on = {"on": True, "by": "ada", "at": None, "reason": "storm"}
    assert "Set by ada" in markup(switch_card.state(caller, on))
    assert markup(switch_card.card(caller, "safety")).count("safety-switch") == 5
