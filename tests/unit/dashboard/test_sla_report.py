"""The SLA report as it leaves the house, and the words and numbers it shares with the page."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support import fake_sla

from dashboard.i18n import UNKNOWN, Words, zone_of
from dashboard.reports.sla import (
    attained,
    burns,
    chain,
    days,
    left,
    minutes,
    notes,
    percent,
    sla_csv,
    sla_html,
    summary,
)

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden" / "report"
DATA = fake_sla.slo(NOON)
EN, ZH = Words("en", zone_of("Asia/Shanghai")), Words("zh-CN", zone_of("Asia/Shanghai"))
ROWS: dict[str, dict[str, Any]] = {row["name"]: row for row in DATA["rows"]}


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("kind", ["html", "csv"])
def test_the_report_is_what_it_was(language: str, kind: str) -> None:
    make = sla_html if kind == "html" else sla_csv
    made = make(DATA, language, "Asia/Shanghai", NOON)
    golden = GOLDEN / f"sla.{language}.{kind}"
    if os.environ.get("WATCHKEEPER_WRITE_GOLDEN"):
        golden.write_bytes(made)
    assert made == golden.read_bytes()


def test_the_page_runs_nothing_and_asks_nobody() -> None:
    html = sla_html(DATA, "en", "UTC", NOON).decode()
    for word in ("<script", "<link", "<img", "src=", "href=", "url(", "<b>API"):
        assert word not in html, word
    assert "&lt;b&gt;API" in html


def test_an_empty_report_says_what_to_add() -> None:
    empty = {"rows": [], "composites": [], "response": {"rows": []}}
    html = sla_html(empty, "en", "UTC", NOON).decode()
    assert "No source: add an objective under objectives.items" in html
    assert "<table" not in html


def test_a_machine_can_read_the_csv_and_unknown_is_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(sla_csv(DATA, "en", "Asia/Shanghai", NOON).decode("utf-8-sig"))))
    assert [row["Name"] for row in rows] == ["checkout", "checkout", "api", "silent"]
    assert (rows[0]["Target (%)"], rows[0]["Allowed by target (min)"], rows[0]["Allowed by contract (min)"]) == (
        "99.9", "44.64", "43.8",
    )  # fmt: skip
    assert (rows[3]["Attained"], rows[3]["Used (min)"], rows[3]["Error"]) == ("", "", "found duplicate series")
    assert rows[2]["Left (min)"] == "-1.7136"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.999999999, "99.9999%"), (0.99999, "99.999%"), (1.0, "100%"), (0.95, "95%"), (1 - 0.05, "95%"), (0.0, "0%"),
        (1 - 10 / 600, "98.3333%"), (None, UNKNOWN),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_up_to_a_nine_that_was_missed(share: float | None, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        ("43.8", "43.8 min", "43.8 分钟"), ("216", "3.6 h", "3.6 小时"), ("432", "7.2 h", "7.2 小时"),
        ("0.4464", "26.78 s", "26.78 秒"), (-1.7136, "-1.71 min", "-1.71 分钟"), (None, UNKNOWN, UNKNOWN),
    ],
)  # fmt: skip
def test_minutes_as_the_contract_says_them(value: str | float | None, english: str, chinese: str) -> None:
    assert (minutes(EN, value), minutes(ZH, value)) == (english, chinese)


def test_unknown_time_stands_beside_what_was_attained() -> None:
    month, rolling = ROWS["checkout"]["windows"]
    assert attained(EN, month) == "99.9996%"
    assert attained(EN, rolling) == "99.92% (at worst 95.91%)"
    assert attained(EN, ROWS["silent"]["windows"][0]) == UNKNOWN
    assert left(EN, ROWS["silent"]["windows"][0]) == UNKNOWN
    assert left(ZH, ROWS["api"]["windows"][0]) == "-1.71 分钟（-383.9%）"
    assert days(EN, month) == "2026-03-01 to 2026-03-31"


def test_the_worst_is_counted_first_and_unknown_is_not_met() -> None:
    assert summary(EN, DATA["rows"]) == "Broken 1 · At risk 1 · Unknown 1 · Met 1"


def test_what_else_is_to_say() -> None:
    assert burns(EN, ROWS["checkout"]) == f"Burn rate by window: 5m 0 · 30m 0 · 1h 0.5 · 6h 0.2 · 3d {UNKNOWN}"
    assert "From 70% to 99.9%: 100.3% of the way done, due 2026-12-31" in notes(EN, ROWS["checkout"])
    assert any("full outage" in line for line in notes(EN, ROWS["api"]))
    assert "无法统计：found duplicate series" in notes(ZH, ROWS["silent"])
    assert chain(ZH, DATA["composites"][0]).endswith("每个部分都需要达到 99.995%。")
    assert chain(EN, {**DATA["composites"][0], "contradicts": False}).startswith("The parts give 99.9% together")
