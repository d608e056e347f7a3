"""The page Cost and its report draw what the engine says, and say what it does not know."""

from __future__ import annotations

import csv
import io
import os
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import fake_cost
from support.fake_engine import FakeEngine
from support.pages import handlers, markup, reader

from dashboard import cost_charts
from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.i18n import Words, zone_of
from dashboard.pages import cost
from dashboard.reports.cost import (
    amount,
    converted_line,
    cost_csv,
    cost_html,
    gap_kind,
    gap_line,
    outlook,
    problems,
    span,
    summary,
)

NOON = datetime(2026, 3, 11, 4, tzinfo=UTC)
DATA = fake_cost.cost(NOON)
GOLDEN = Path(__file__).parents[2] / "golden" / "report"
EN, ZH = Words("en", zone_of("Asia/Shanghai")), Words("zh-CN", zone_of("Asia/Shanghai"))


@pytest.fixture(params=["en", "zh-CN"])
def caller(request: pytest.FixtureRequest, served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, request.param)


async def test_the_page_says_money_budgets_gaps_and_what_is_wrong(caller: Caller) -> None:
    text = markup(cost.body(caller, await cost.ask(caller, None, None)))
    for said in ("1,234.56", "35,000,000.00", "1,380.00", "a.csv", "'abc' is no amount", "no column '金额'", "USD"):
        assert said in text, said
    assert caller.words("cost.status.breach") in text
    assert caller.words("cost.unknown.too_little") in text


async def test_both_files_are_of_the_chosen_month_and_named_after_it(caller: Caller) -> None:
    sheet, page = [(await save(caller, 1, "2026-03", "team"))[1] for save in handlers(cost)["save"]]
    assert (sheet["filename"], page["filename"]) == ("cost-2026-03.csv", "cost-2026-03.html")
    assert b64decode(sheet["content"]).startswith(b"\xef\xbb\xbf")
    assert b"1,234.56" in b64decode(page["content"])


def test_the_chart_stacks_days_and_a_service_stays_text() -> None:
    figure = cost_charts.stacked(DATA["days"][0], "light", "Others")
    assert figure["layout"]["barmode"] == "relative"
    assert [trace["name"] for trace in figure["data"]] == ["&lt;b&gt;ECS&lt;/b&gt;", "Others"]
    assert list(figure["data"][1]["y"]) == [-5.5] * 10


NAMES = {name: name for name in ("so_far", "forecast", "interval", "warn", "breach")}


def test_the_month_so_far_is_drawn_up_to_its_forecast_and_the_budgets_lines() -> None:
    row, ahead = DATA["days"][0], DATA["totals"][0]["forecast"]
    budget = cost_charts.whole([{**one, "tags": {}} for one in DATA["budgets"]], row)
    drawn = cost_charts.running(row, ahead, budget, "light", NAMES)["data"]
    lines = {trace["name"]: (list(trace["x"]), list(trace["y"])) for trace in drawn}
    assert lines["so_far"][1] == [94.5 * day for day in range(1, 11)]
    assert lines["forecast"] == (["2026-03-10", "2026-03-31"], [945.0, 3800.0])
    assert lines["interval"][1] == [945.0, 4000.5, 3600.0]
    assert lines["warn"] == (["2026-03-01", "2026-03-31"], [960.0, 960.0])
    assert lines["breach"][1] == [1380.0, 1380.0]


def test_a_budget_of_a_part_another_currency_or_month_draws_no_line() -> None:
    row = DATA["days"][0]
    good = {**DATA["budgets"][0], "tags": {}}
    for other in ({"tags": {"team": "a"}}, {"service": "ECS"}, {"part_of": "all"}, {"currency": "USD"},
                  {"first": "2026-01-01"}, {"first": "2026-02-01", "last": "2026-02-28"}):  # fmt: skip
        assert cost_charts.whole([{**good, **other}], row) is None
    bare = cost_charts.running(row, None, None, "light", NAMES)["data"]
    assert [trace["name"] for trace in bare] == ["so_far"]


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("2026-03-01", "2026-03-31", "2026-03"),
        ("2024-02-01", "2024-02-29", "2024-02"),
        ("2026-01-01", "2026-03-31", "2026-01-01 – 2026-03-31"),
        ("2026-03-01", "2026-03-30", "2026-03-01 – 2026-03-30"),
    ],
)
def test_a_whole_month_goes_by_its_name(first: str, last: str, text: str) -> None:
    assert span(first, last) == text


def test_money_not_given_out_yet_is_no_warning_and_too_much_is() -> None:
    row = {**DATA["reconciliation"][0], "stated": "100.00", "total": "60.00", "gap": "-40.00"}
    assert gap_line(EN, row).endswith("is not given out.")
    assert (cost.GAPS[gap_kind(row)], cost.GAPS[gap_kind(DATA["reconciliation"][0])]) == ("blue", "orange")


def test_without_a_source_the_page_says_what_to_add(caller: Caller) -> None:
    empty = {**DATA, "configured": False, "months": [], "budgets": [], "sources": []}
    assert "cost.sources" in markup(cost.body(caller, empty))


@pytest.mark.parametrize(
    ("words", "value", "currency", "text"),
    [
        (EN, "1234.5", "CNY", "CN¥1,234.50"),
        (ZH, "1234.5", "CNY", "¥1,234.50"),
        (ZH, "1234.5", "USD", "US$1,234.50"),
        (EN, "-0.5", "USD", "-$0.50"),
        (EN, "0.0000008", "USD", "≈$0.00"),
        (EN, None, "USD", "—"),
    ],
)
def test_money_is_written_as_its_reader_writes_it(words: Words, value: str | None, currency: str, text: str) -> None:
    assert amount(words, value, currency) == text


def test_the_gap_between_modules_and_total_is_told_and_never_added_away() -> None:
    over, even, odd = DATA["reconciliation"]
    assert "CN¥35,000,000.00 too much" in gap_line(EN, over)
    assert "超出 ¥35,000,000.00" in gap_line(ZH, over)
    assert gap_line(EN, even) == "even: 1 parts add up to the stated CN¥10.00."
    assert "USD/month" in gap_line(EN, odd)
    assert "is not given out" in gap_line(EN, {**even, "total": "9.00", "gap": "-1.00"})


def test_an_outlook_names_its_method_or_why_there_is_none() -> None:
    known, unknown = DATA["totals"]
    assert "CN¥3,600.00 to CN¥4,000.50" in outlook(EN, known)
    assert "fewer than three whole days" in outlook(EN, unknown)
    rate = {**known, "forecast": {**known["forecast"], "method": "run_rate", "days_known": 5}}
    assert "needs 28 days of history" in outlook(EN, rate)
    assert outlook(EN, {**known, "forecast": None}) == "The month is over."


def test_currencies_are_added_by_named_rates_only() -> None:
    assert "no rate from USD to CNY" in converted_line(EN, DATA["converted"])
    done = {"currency": "CNY", "cost": "1305.76", "missing": [], "rates": {"USD": "7.12"}}
    assert converted_line(EN, done).endswith("1 USD = 7.12 CNY")


def test_every_problem_has_its_place() -> None:
    assert problems(EN, DATA) == [
        "aliyun: b.csv:1: no column '金额'",
        "a.csv:7, column 金额: 'abc' is no amount",
        "a.csv is replaced by c.csv for the same account and month.",
    ]
    assert any("data age" in line for line in summary(EN, DATA))


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("kind", ["html", "csv"])
def test_the_report_is_what_it_was(language: str, kind: str) -> None:
    made = (cost_html if kind == "html" else cost_csv)(DATA, language, "Asia/Shanghai", NOON)
    golden = GOLDEN / f"cost.{language}.{kind}"
    if os.environ.get("WATCHKEEPER_WRITE_GOLDEN"):
        golden.write_bytes(made)
    assert made == golden.read_bytes()


def test_the_report_runs_nothing_and_its_sheet_no_formula() -> None:
    page = cost_html(DATA, "en", "UTC", NOON).decode()
    for word in ("<script", "<link", "<img", "src=", "href=", "<b>ECS"):
        assert word not in page, word
    sheet = io.StringIO(cost_csv(DATA, "en", "UTC", NOON).decode("utf-8-sig"))
    cells = [cell for line in csv.reader(sheet) for cell in line]
    assert "'=OSS" in cells
    assert "1234.56" in cells
