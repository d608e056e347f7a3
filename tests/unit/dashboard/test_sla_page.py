"""The SLA page draws what the engine says, and says what it does not know."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime

from support import fake_sla
from support.pages import handlers, markup, recorded, texts

from dashboard.context import Caller
from dashboard.page import Request
from dashboard.pages import sla
from dashboard.permissions import Permission

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
DATA = fake_sla.slo(NOON)


def test_the_broken_promise_comes_first_with_both_allowed_minutes(caller: Caller) -> None:
    said = texts(sla.body(caller, DATA))
    assert said.index("Broken\n") < said.index("At risk\n") < said.index("Met\n")
    for part in ("Broken 1 · At risk 1 · Unknown 1 · Met 1", "44.64 min", "43.8 min", "7.44 h", "7.2 h", "99.999%",
                 "26.78 s", "-1.71 min\n-383.9%", "99.92%\nat worst 95.91%", "28.8 h\n4%",
                 "Core", "platform", "45 s"):  # fmt: skip
        assert part in said, part
    assert "<b>API</b>" in said  # text, and never markup


def test_response_clocks_and_contradicting_targets(chinese: Caller) -> None:
    said = texts(sla.body(chinese, DATA))
    for part in ("按时响应", "75%", "计时中", "目标相互矛盾", "核心服务", "未达标"):
        assert part in said, part


def test_without_objectives_the_page_says_what_to_add(caller: Caller) -> None:
    said = texts(sla.body(caller, {"rows": [], "composites": [], "response": {"rows": []}}))
    assert "No source: add an objective under objectives.items" in said
    assert "No incident with a response clock this month." in said


def test_an_objective_has_both_charts_or_says_why_not(caller: Caller) -> None:
    rows = {row["name"]: row for row in DATA["rows"]}
    drawn = markup(sla.detail(caller, rows["checkout"]))
    for part in ("Burn rate of the last three days", "Page from here on (14.4)", "Budget left", "Owner: ada"):
        assert part in drawn, part
    assert drawn.count('"scatter"') == 5
    silent = sla.detail(caller, rows["silent"])
    assert "found duplicate series" in texts(silent)
    assert texts(silent).count("Not enough measured time yet to draw this.") == 2


def test_what_is_left_of_the_budget_is_drawn_in_per_cent_and_how_fast_it_goes_as_a_number(caller: Caller) -> None:
    drawn = markup(sla.detail(caller, DATA["rows"][0]))
    assert drawn.count('"tickformat": ".3~%"') == 1


async def test_the_page_asks_the_engine_and_keeps_a_choice(caller: Caller) -> None:
    (refresh,) = handlers(sla)["refresh"]
    found, names, _, shown = await refresh(caller, 0, "api")
    assert [one["value"] for one in names] == ["checkout", "api", "silent"]
    assert "All objectives" in texts(found)
    assert "<b>API</b>" in texts(shown)
    assert (await refresh(caller, 0, "gone"))[2] == "checkout"


async def test_the_calculator_answers_and_refuses_what_is_no_number(caller: Caller) -> None:
    (calculate,) = handlers(sla)["calculate"]
    assert "98.0188%" in texts(await calculate(caller, "20", "99.9", "99.99"))
    assert "whole number" in texts(await calculate(caller, "many", "99.9", "99.99"))
    assert "whole number" in texts(await calculate(caller, None, "99.9", "99.99"))


async def test_both_files_are_the_report_in_the_readers_language(chinese: Caller) -> None:
    csv, html = [await save(chinese, 1) for save in handlers(sla)["save"]]
    assert csv[1]["filename"].endswith(".csv")
    assert "名称" in b64decode(csv[1]["content"]).decode("utf-8-sig")
    assert "服务等级（SLA）报告" in b64decode(html[1]["content"]).decode()


def test_the_frame_stands_before_the_data(caller: Caller) -> None:
    frame = markup(sla.layout(caller, Request("/sla", "", {"objective": "api"})))
    for part in ("sla-body", "sla-objective", "sla-chain-count", "sla-tick"):
        assert part in frame, part


def test_whoever_may_read_may_see_and_download_it() -> None:
    assert set(recorded(sla).declared.values()) == {Permission.READ}
