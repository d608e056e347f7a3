"""The business report as it leaves the house, and the words and numbers it shares with the pages."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support import fake_business

from dashboard.i18n import UNKNOWN, Words, zone_of
from dashboard.reports.business import business_csv, business_html
from dashboard.reports.business_words import (
    ahead_lines,
    amount,
    change,
    funnels,
    period,
    quality,
    reasons,
    shown,
    summary,
    target,
    unknown_why,
    usual,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden" / "report"
DATA = {**fake_business.business(NOON), "predictions": fake_business.predictions(NOON)["rows"]}
EN, ZH = Words("en", zone_of("Asia/Shanghai")), Words("zh-CN", zone_of("Asia/Shanghai"))
ROWS: dict[str, dict[str, Any]] = {row["name"]: row for row in DATA["rows"]}
REVENUE: dict[str, Any] = DATA["predictions"][0]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("kind", ["html", "csv"])
def test_the_report_is_what_it_was(language: str, kind: str) -> None:
    make = business_html if kind == "html" else business_csv
    made = make(DATA, language, "Asia/Shanghai", NOON)
    golden = GOLDEN / f"business.{language}.{kind}"
    if os.environ.get("WATCHKEEPER_WRITE_GOLDEN"):
        golden.write_bytes(made)
    assert made == golden.read_bytes()


def test_the_page_runs_nothing_and_asks_nobody() -> None:
    html = business_html(DATA, "en", "UTC", NOON).decode()
    for word in ("<script", "<link", "<img", "src=", "href=", "url(", "<b>Order value"):
        assert word not in html, word
    assert "&lt;b&gt;Order value" in html


def test_an_empty_report_says_what_to_add() -> None:
    html = business_html({"rows": []}, "en", "UTC", NOON).decode()
    assert "No source: add a shop database under business.shops" in html
    assert "<table" not in html


def test_a_machine_can_read_the_csv_to_the_cent() -> None:
    text = business_csv(DATA, "zh-CN", "Asia/Shanghai", NOON).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    revenue = next(row for row in rows if row["名称"] == "shop.revenue")
    assert (revenue["数值"], revenue["单位"], revenue["状态评级"]) == ("12345.67", "CNY", "正常")
    assert (revenue["30 天后预期"], revenue["80% 区间覆盖率"], revenue["相对朴素预测误差"]) == ("130.0", "0.78", "0.66")
    silent = next(row for row in rows if row["名称"] == "visitors")
    assert (silent["数值"], silent["错误"], silent["原因"]) == ("", "HTTP 503", "数据来源读取失败。")


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        ("12345.67", "CNY", "CN¥12,345.67", "¥12,345.67"),
        ("-0.5", "USD", "-$0.50", "-US$0.50"),
        ("0.9302", "ratio", "93.02%", "93.02%"),
        ("840", "seconds", "14 min", "14 分钟"),
        ("120", "count", "120", "120"),
        (None, "CNY", UNKNOWN, UNKNOWN),
    ],
)
def test_amounts_as_the_reader_writes_them(value: str | None, unit: str, english: str, chinese: str) -> None:
    assert amount(EN, value, unit) == english
    assert amount(ZH, value, unit) == chinese


def test_a_period_is_named_on_the_readers_clock() -> None:
    row = {"start": "2026-02-28T16:00:00Z"}
    named = {kind: period(EN, {**row, "period": kind}) for kind in ("hour", "day", "week", "month")}
    assert named == {"hour": "2026-03-01 00:00", "day": "2026-03-01", "week": "Week of 2026-03-01", "month": "2026-03"}
    assert period(EN, {"start": None, "period": "day"}) == UNKNOWN


def test_targets_usual_bands_and_changes_in_words() -> None:
    assert target(EN, ROWS["shop.payment_success"]) == "at least 98%"
    assert target(EN, ROWS["shop.stuck_job_age"]) == "at most 15 min"
    assert target(ZH, ROWS["order_value"]) == "¥50.00 至 ¥100.00"
    assert target(EN, ROWS["shop.orders"]) == UNKNOWN
    assert usual(EN, ROWS["shop.orders"]) == "90 to 130"
    assert usual(ZH, ROWS["satisfaction"]) == "学习中：3/20 个周期"
    assert change(EN, ROWS["shop.orders"], "previous") == "+5%"
    assert change(EN, ROWS["shop.orders"], "last_week") == "-10%"
    assert change(EN, ROWS["shop.orders"], "last_year") == UNKNOWN


def test_why_a_figure_stands_as_it_does() -> None:
    assert reasons(EN, ROWS["visitors"]) == "The source cannot be read. HTTP 503"
    assert reasons(EN, ROWS["shop.orders"]) == ""
    assert summary(EN, DATA["rows"]) == "Missed 1 · Watch 1 · Unknown 1 · Learning 1 · Good 8"


def test_the_funnel_is_known_whole_or_not_at_all() -> None:
    shares = {row["title"]: share for row, share in funnels(DATA["rows"])["shop"]}
    assert shares["orders_paid"] == 0.8
    assert sum(share or 0 for share in shares.values()) == pytest.approx(1.0)
    broken = [{**row, "value": None} if row["name"] == "shop.orders_paid" else row for row in DATA["rows"]]
    assert {share for _, share in funnels(broken)["shop"]} == {None}
    assert "shop.orders_paid" not in {row["name"] for row in shown(DATA["rows"])}


def test_forecasts_and_what_became_of_them() -> None:
    assert ahead_lines(EN, REVENUE)[0] == "In 7 days (2026-03-07): CN¥107.00, with 80% certainty CN¥90.00 to CN¥117.00."
    assert quality(EN, REVENUE) == (
        "90 forecasts of up to 90 days were scored: mean error 6.2%, 78% inside the 80% interval, "
        "error 0.66 of a naive forecast's. Better than a naive forecast."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accuracy": [{**REVENUE["accuracy"][0], "against_naive": 1.2}]}, "Not better than a naive forecast"),
        ({"accuracy": [{**REVENUE["accuracy"][0], "against_naive": None}]}, "not possible yet"),
        ({"accuracy": [{**REVENUE["accuracy"][0], "scored": 0}]}, "Back-test: error 0.7"),
        ({"accuracy": [], "backtest": None}, "No forecast has come due yet, and there is too little history"),
    ],
)
def test_quality_is_told_as_it_is(changes: dict[str, Any], said: str) -> None:
    assert said in quality(EN, {**REVENUE, **changes})


def test_too_little_history_is_told_in_the_readers_language() -> None:
    young = DATA["predictions"][1]
    assert unknown_why(EN, young) == "Not enough history yet: 5 of 14 days."
    assert unknown_why(ZH, young) == "历史数据尚不足：已有 5/14天。"
    assert unknown_why(ZH, {**young, "unknown": "not_made_yet"}) == "尚未生成预测。"


def test_the_report_is_light() -> None:
    heavy = ("dash", "plotly", "pandas", "numpy", "fastapi", "httpx2")
    code = f"import sys, dashboard.reports.business; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
