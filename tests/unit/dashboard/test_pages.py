"""Every page draws what the engine says, in both languages, and says what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.fake_engine import FakeEngine, free_port
from support.pages import Recorder, handlers, markup, reader, texts

from dashboard.client import EngineClient, EngineDownError, EngineError
from dashboard.context import Caller, current, set_current
from dashboard.page import find
from dashboard.pages import BUILTIN, about, actions, capacity, collectors, explore, incident, overview, rules, settings
from dashboard.settings import Settings
from watchkeeper.clock import SystemClock


def caller_of(engine: FakeEngine, client: EngineClient, role: str = "admin", language: str = "en") -> Caller:
    return reader(engine, client, language, name=role, zone="UTC")


@pytest.fixture
def caller(served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return caller_of(served[0], client)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("role", ["viewer", "admin"])
@pytest.mark.parametrize("page", BUILTIN, ids=lambda page: page.key)
def test_every_frame_draws_for_every_reader(
    served: tuple[FakeEngine, str], client: EngineClient, page: Any, role: str, language: str
) -> None:
    reader = caller_of(served[0], client, role, language)
    found = find(BUILTIN, page.path, "?expr=up")
    assert found is not None
    assert reader.words(f"{page.key}.title") in markup(page.layout(reader, found[1]))


def test_every_page_of_the_navigation_has_its_icon() -> None:
    """Without one the browser draws a black square."""
    style = (Path(overview.__file__).parents[1] / "assets" / "style.css").read_text(encoding="utf-8")
    shown = [page.key for page in BUILTIN if page.area]
    assert [key for key in shown if f".wk-nav-{key} {{ --icon:" not in style] == []


def test_addresses_find_their_page() -> None:
    def key(path: str | None) -> str:
        found = find(BUILTIN, path, "")
        return f"{found[0].key}:{found[1].rest}" if found else "none"

    cases = (None, "/", "/incidents/", "/incidents/inc%2F1", "/rules/x", "/nowhere")
    assert [key(path) for path in cases] == [
        "overview:", "overview:", "incidents:", "incidents:inc/1", "none", "none",
    ]  # fmt: skip


async def test_the_overview_says_what_is_known_and_what_is_not(served: tuple[FakeEngine, str], caller: Caller) -> None:
    served[0].stale = {"network_io"}
    data = await caller.get("/api/wk/overview")
    served[0].stale = set()
    said = texts(overview.body(caller, data))
    for expected in (
        "Stale", "Stale: last sample", "No source", "Add a source for MySQL or PostgreSQL.", "Not scored yet",
        "Forecast: not enough history yet", "Expected range: not enough history yet", "Very unusual 0.86",
        "Unusual 0.61", "Usual 0.12", "3 of 4", "Data is 1.5 s old", "checkout is slow", "Extend by 40 GiB",
    ):  # fmt: skip
        assert expected in said, expected


async def test_a_calm_overview_says_so(caller: Caller) -> None:
    data = {**await caller.get("/api/wk/overview"), "incidents": [], "warnings": []}
    said = texts(overview.body(caller, data))
    assert "No open incidents" in said
    assert "Nothing is forecast to run out soon" in said


async def test_explore_shows_answers_mistakes_and_nothing(caller: Caller) -> None:
    async def ask(expr: str) -> Any:
        return explore.body(
            caller, await caller.get("/api/wk/chart", expr=expr, start_ms=0, end_ms=60_000, step_ms=1000)
        )

    assert "parse error" in markup(await ask("sum("))
    assert "No series answer this expression" in texts(await ask("nothing"))
    drawn = await ask("up")
    assert "Series: 2" in texts(drawn)
    assert "explore-graph" in markup(drawn)
    assert "a warning of the engine" in markup(drawn)


async def test_an_incident_tells_its_story(caller: Caller) -> None:
    said = texts(incident.body(caller, await caller.get("/api/wk/incidents/inc-1")))
    for expected in ("checkout is slow", "SlowCheckout", "alert-1 fired", "DrainSlow", "possibly a repeat"):
        assert expected in said
    assert "lin, " not in said
    data = await caller.get("/api/wk/incidents/inc-1")
    word = {
        "opinion": "wrong",
        "actor": "lin",
        "at": data["incident"]["opened_at"],
        "note": "a load test",
        "id": "word-1",
    }
    said = texts(incident.body(caller, {**data, "alerts": [{**data["alerts"][0], "word": word}]}))
    assert "Wrong" in said
    assert "a load test" in said
    bare = {
        **await caller.get("/api/wk/incidents/inc-1"),
        "alerts": [],
        "timeline": [],
        "actions": [],
        "deliveries": [],
    }
    assert "Nobody was told" in texts(incident.body(caller, bare))


async def test_actions_show_plans_refusals_and_declarations(caller: Caller) -> None:
    data = await caller.get("/api/wk/actions")
    said = texts(actions.body(caller, data))
    for expected in ("Lock: another engine holds the lease", "Fallen at", "Valid"):
        assert expected in said
    said = texts(actions.body(caller, {**data, "actions": [], "declarations": []}))
    for expected in ("No actions so far", "No rule may act on its own"):
        assert expected in said
    waiting = texts(actions.waiting(caller, data["actions"][:1]))
    assert "Approvals 0 of 1" in waiting
    assert "Confirmation" in waiting
    assert "waived by ada" in waiting
    assert "Nothing waits for approval" in texts(actions.waiting(caller, []))


async def test_an_action_says_what_it_changes_and_a_message_what_it_said(caller: Caller) -> None:
    data = await caller.get("/api/wk/incidents/inc-1")
    said = texts(incident.body(caller, data))
    assert data["deliveries"][0]["title"] in said
    for row in data["actions"]:
        assert row["id"] in said
        assert row["rule"] in said


async def test_a_viewer_sees_plans_but_no_live_buttons(served: tuple[FakeEngine, str], client: EngineClient) -> None:
    viewer = caller_of(served[0], client, "viewer")
    drawn = actions.waiting(viewer, (await viewer.get("/api/wk/actions"))["actions"][:1])
    buttons = [part for part in drawn._traverse() if getattr(part, "_type", "") == "Button"]
    assert len(buttons) == 2
    assert all(button.disabled for button in buttons)


async def test_rules_show_findings_and_what_cannot_be_judged(caller: Caller) -> None:
    said = texts(rules.body(caller, (await caller.get("/api/wk/rules"))["groups"]))
    for expected in ("no samples", "W101", "add a for: clause", "3 rules every 15 s"):
        assert expected in said
    assert "No rules are loaded" in texts(rules.body(caller, []))


async def test_the_book_of_samples_balances_or_says_how_far_it_is_off(caller: Caller) -> None:
    data = await caller.get("/api/wk/collectors")
    assert "Balanced" in texts(collectors.ledger(caller, data))
    data["ledger"]["stored"] -= 3
    assert "3 unaccounted for" in texts(collectors.ledger(caller, data))
    data["store"] = {"newest_ms": 0, "engine": "blocks"}
    data["store"] |= {"rejected_too_old": 7, "disk_full": 0, "block_bytes": 2048}
    said = texts(collectors.ledger(caller, data))
    assert "blocks" in said
    assert "Size of blocks\n2 KiB" in said
    assert "Disk full now\nNo" in said
    assert "rejected_too_old" not in said  # the book has it


async def test_no_word_of_the_engine_is_left_untranslated(served: tuple[FakeEngine, str], client: EngineClient) -> None:
    reader = caller_of(served[0], client, "admin", "zh-CN")
    status = texts(about.body(reader, await reader.get("/api/wk/status")))
    assert "已拒绝 · 过旧\n10" in status
    source = (await reader.get("/api/wk/collectors"))["collectors"][0]
    assert collectors.row(reader, {**source, "kind": "own", "target": "own metrics"})["target"] == "引擎自身指标"
    assert collectors.row(reader, source)["target"] == source["target"]
    rows = (await reader.get("/api/wk/capacity"))["rows"]
    assert "历史数据不足：已有 3 个点，需要 48 个" in markup(
        capacity.detail(reader, {**rows[1], "unknown": "not enough history: 3 of 48 points"})
    )


async def test_what_is_resolved_cannot_be_acknowledged(served: tuple[FakeEngine, str], client: EngineClient) -> None:
    recorder = Recorder()
    incident.register(recorder)
    refresh = recorder.found["refresh"][0]
    ada, val = (caller_of(served[0], client, role) for role in ("admin", "viewer"))
    assert (await refresh(ada, 1, None, "inc-1"))[1] is False
    assert (await refresh(val, 1, None, "inc-1"))[1] is True
    served[0].incident_state = "resolved"
    assert (await refresh(ada, 1, None, "inc-1"))[1] is True


async def test_capacity_names_its_reasons(caller: Caller) -> None:
    rows = (await caller.get("/api/wk/capacity"))["rows"]
    said = texts(capacity.body(caller, rows))
    assert "unknown" in said
    assert "20%" in said
    assert "not enough history" in markup(capacity.detail(caller, rows[1]))
    assert "Parts of the history" in texts(capacity.detail(caller, rows[0]))
    assert "No pools are planned yet" in texts(capacity.body(caller, []))


async def test_the_status_page_shows_every_book(caller: Caller) -> None:
    data = await caller.get("/api/wk/status")
    said = texts(about.body(caller, data))
    for expected in ("0.1.0", "by process only", "Rejected · too old\n10", "oncall · Sent\n4"):
        assert expected in said
    assert "No channels" in texts(about.channels(caller, []))


async def test_an_administrator_cannot_disable_himself_by_a_slip(caller: Caller) -> None:
    rows = (await caller.get("/api/wk/users"))["users"]
    drawn = settings.users(caller, [*rows, {**rows[0], "name": "gone", "disabled": True}])
    buttons = {part.id["name"]: part for part in drawn._traverse() if getattr(part, "_type", "") == "Button"}
    assert buttons["admin"].disabled is True
    assert buttons["viewer"].disabled is False
    assert buttons["gone"].id["disable"] == "no"


# --- callbacks: every handler, as the browser would call it ----------------------------------------------------------


async def test_refreshing_handlers_answer_for_every_output(caller: Caller) -> None:
    from dashboard.pages import incidents, reports

    shown, rows = await handlers(incidents)["refresh"][-1](caller, 1, "all")
    assert [row["id"] for row in rows] == ["inc-1", "inc-2", "inc-3"]
    assert "wk-as-of" in markup(shown)
    _, rows, agents, ledger = await handlers(collectors)["refresh"][0](caller, 1)
    assert [row["state_key"] for row in rows] == ["failing", "up"], "what is not well comes first"
    for said in ("sh-1", "Silent", "340", "2 sources failing"):
        assert said in texts(agents)
    assert "Book of samples" in texts(ledger)
    body, names, chosen, detail = await handlers(capacity)["refresh"][0](caller, 1, None)
    assert (len(names), chosen, len(detail)) == (2, names[0], 1)
    assert "wk-as-of" in markup(body)
    assert "No reports yet" in texts(await handlers(reports)["refresh"][0](caller, 1, None))
    assert "PromQL" not in texts(await handlers(explore)["draw"][0](caller, 1, " ", "1h", 1))
    assert "explore-graph" in markup(await handlers(explore)["draw"][0](caller, 1, "up", "nonsense", 1))
    one = (await caller.get("/api/wk/incidents"))["incidents"][0]
    assert incidents.row(caller, {**one, "id": "a/b"})["href"] == "/incidents/a%2Fb"


async def test_a_plan_that_did_not_change_is_left_alone_so_that_nobody_loses_his_typing(caller: Caller) -> None:
    from dash import no_update

    refresh = handlers(actions)["refresh"][0]
    plans = [row for row in (await caller.get("/api/wk/actions"))["actions"] if row["state"] == actions.AWAITING]
    *_, print_, rules, _, _ = await refresh(caller, 1, None, None, None, [], [], [])
    assert rules == ["drain-web1"]
    assert print_ != actions._fingerprint([])
    later = [{**row, "updated_at": "later"} for row in plans]
    assert actions._fingerprint(plans) == actions._fingerprint(later)
    _, _, same, _, still, *_ = await refresh(caller, 1, None, None, print_, ["typing"], [{"id": "act-1"}], rules)
    assert (same, still) == (no_update, no_update)
    _, _, cards, *_ = await refresh(caller, 1, None, None, "old", ["typing"], [{"id": "act-1"}], rules)
    assert '"value": "typing"' in markup(cards)


async def test_downloads_carry_the_report(caller: Caller) -> None:
    from base64 import b64decode

    csv_file, html_file = [await save(caller, 1) for save in handlers(capacity)["save"]]
    assert csv_file[1]["filename"].endswith(".csv")
    assert b64decode(csv_file[1]["content"]).startswith(b"\xef\xbb\xbf")
    assert b64decode(html_file[1]["content"]).startswith(b"<!doctype html>")


async def test_people_are_added_and_settings_are_checked(served: tuple[FakeEngine, str], caller: Caller) -> None:
    found = handlers(settings)
    refused, _ = await found["save"][0](caller, 1, "en", "Mars/Olympus")
    assert "Choose a language" in markup(refused)
    await found["save"][0](caller, 1, "en", "Europe/Berlin")
    assert served[0].users["admin"]["time_zone"] == "Europe/Berlin"
    await found["add"][0](caller, 1, " bob ", "long enough words", "viewer")
    assert served[0].users["bob"]["role"] == "viewer"
    with pytest.raises(EngineError, match="12 characters"):
        await found["add"][0](caller, 1, "eve", "short", "viewer")
    assert "bob" in texts(await found["people"][0](caller, None))


# --- the client and the context --------------------------------------------------------------------------------------


async def test_the_client_remembers_since_when_the_engine_is_silent(served: tuple[FakeEngine, str]) -> None:
    silent = EngineClient(Settings(engine_url=f"http://127.0.0.1:{free_port()}"), SystemClock(), timeout=2.0)
    with pytest.raises(EngineDownError) as first:
        await silent.call("GET", "/api/wk/overview")
    with pytest.raises(EngineDownError) as second:
        await silent.call("GET", "/api/wk/overview")
    assert first.value.since == second.value.since == silent.down_since
    await silent.aclose()


async def test_an_answer_ends_the_silence_and_a_refusal_says_why(client: EngineClient, caller: Caller) -> None:
    client.down_since = SystemClock().now()
    with pytest.raises(EngineError) as refused:
        await caller.get("/api/wk/incidents/none")
    assert (refused.value.status, str(refused.value)) == (404, "there is no incident none")
    assert client.down_since is None
    with pytest.raises(EngineError, match="not JSON"):
        await caller.get("/api/wk/reports/x.html")


async def test_a_crash_is_logged_and_not_swallowed(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    from dash import Input, Output

    from dashboard.permissions import Permission

    callbacks = Recorder()

    @callbacks.callback_for(Permission.READ, Output("a", "children"), Input("b", "value"))
    async def broken(_caller: Caller, _value: Any) -> Any:
        raise ZeroDivisionError("a mistake")

    from dashboard.callbacks import _attempt

    with pytest.raises(ZeroDivisionError):
        await _attempt(caller, Permission.READ, broken, [1])
    assert "broken failed" in caplog.text


def test_code_outside_the_guard_has_no_caller(caller: Caller) -> None:
    set_current(caller)
    assert current() is caller
    set_current(None)
    with pytest.raises(RuntimeError, match="outside the guard"):
        current()


@pytest.mark.parametrize(
    "bad", [{"engine_url": "ftp://x"}, {"unknown": 1}, {"refresh_seconds": 0}, {"language": "tlh"}]
)
def test_settings_are_strict(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**bad)


def test_https_asks_for_host_cookies_and_its_own_origin() -> None:
    behind = Settings(public_url="https://watch.example", listen="0.0.0.0:8050")
    assert (behind.cookie, behind.secure) == ("__Host-wk", True)
    assert "watch.example" in behind.hosts
    assert "0.0.0.0:8050" not in behind.hosts
    assert behind.origin("watch.example") == "https://watch.example"
    assert "localhost:9000" in Settings(public_url="http://127.0.0.1:9000").hosts
