"""What leaves the house: a page without script or network, and a CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.fake_engine import PAYLOAD, FakeEngine

from dashboard.i18n import Words, zone_of
from dashboard.reports.capacity import COLUMNS, advice, capacity_csv, capacity_html, exhaustion, mark, quality
from dashboard.reports.csv_text import cell, csv_bytes
from dashboard.reports.svg import DARK, LIGHT, forecast_chart, polylines, sparkline

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Where the engine chooses its advice.
CAPACITY_RULES = Path(__file__).parents[3] / "analytics" / "capacity.py"
GOLDEN = Path(__file__).parents[2] / "golden" / "report"
DATA = FakeEngine().capacity(NOON)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags(html: bytes) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html.decode())
    return parser.seen


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("kind", ["html", "csv"])
def test_the_report_is_what_it_was(language: str, kind: str) -> None:
    make = capacity_html if kind == "html" else capacity_csv
    made = make(DATA, language, "Asia/Shanghai", NOON)
    golden = GOLDEN / f"capacity.{language}.{kind}"
    if os.environ.get("WATCHKEEPER_WRITE_GOLDEN"):
        golden.write_bytes(made)
    assert made == golden.read_bytes()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_page_needs_no_script_and_no_network(language: str) -> None:
    html = capacity_html(DATA, language, "UTC", NOON)
    seen = tags(html)
    assert {tag for tag, _ in seen} & {"script", "link", "img", "iframe", "object"} == set()
    assert not [a for _, attributes in seen for a in attributes if a.startswith("on") or a in ("src", "href")]
    assert b"url(" not in html
    assert PAYLOAD.encode() not in html
    assert len([1 for tag, _ in seen if tag == "svg"]) == 2


def test_an_empty_report_says_what_to_do() -> None:
    html = capacity_html({"rows": []}, "en", "UTC", NOON).decode()
    assert "No pools are planned yet" in html
    assert "<table" not in html


def test_a_long_report_draws_every_row() -> None:
    many = {"rows": DATA["rows"] * 15}
    html = capacity_html(many, "zh-CN", "Asia/Shanghai", NOON)
    assert html.count(b"<svg") == 30


ROW: dict[str, Any] = DATA["rows"][0]
EN = Words("en", zone_of("UTC"))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2026-04-10 (from 2026-04-03 to 2026-04-22)"),
        ({"earliest": None, "expected": None, "latest": None}, "not within 90 days"),
        ({"latest": None}, "2026-04-10 (from 2026-04-03 to later)"),
        ({"unknown": "not enough history"}, "unknown"),
    ],
)
def test_exhaustion_is_a_range_and_unknown_is_unknown(changes: dict[str, Any], text: str) -> None:
    assert exhaustion({**ROW, **changes}, EN) == text


def test_the_back_test_is_told_as_it_is() -> None:
    assert "Better than" in quality(ROW, EN)
    assert "Not better than" in quality({**ROW, "better_than_last_value": False}, EN)
    assert quality({**ROW, "backtest_mase": None}, EN) == "No back-test yet: too little history."


@pytest.mark.parametrize(("room", "word"), [(None, "unknown"), (0.05, "short"), (0.15, "tight"), (0.5, "")])
def test_little_room_is_marked(room: float | None, word: str) -> None:
    assert mark(room) == word


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠", " =", "\u3000="]
)
def test_text_that_looks_like_a_formula_is_escaped(start: str) -> None:
    assert cell(f'{start}cmd|" /C calc"!A0') == f'\'{start}cmd|" /C calc"!A0'


@pytest.mark.parametrize("before", ["\ufeff", "\u200b", "\u2003", "\x00", " \u00a0\u200d"])
def test_an_unseen_character_before_it_does_not_hide_a_formula(before: str) -> None:
    assert cell(f"{before}=1+1").startswith("'")


@pytest.mark.parametrize("separator", [";", "; ", "\t"])
def test_a_formula_behind_a_separator_of_another_country_is_no_cell_of_its_own(separator: str) -> None:
    assert cell(f"disk{separator}=HYPERLINK(1)") == f"disk{separator}'=HYPERLINK(1)"
    assert cell("a; b; c=d") == "a; b; c=d"


def test_numbers_stay_numbers_and_unknown_stays_empty() -> None:
    assert [cell(value) for value in (-1.5, 3, None, True, "a-b", "")] == ["-1.5", "3", "", "True", "a-b", ""]


def test_the_csv_opens_in_excel_with_chinese_names() -> None:
    made = capacity_csv(DATA, "zh-CN", "Asia/Shanghai", NOON)
    assert made.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))
    assert rows[0][0] == "资源池"
    assert len(rows[0]) == len(COLUMNS) + 1
    assert rows[2][rows[0].index("建议")] == "'=1+1"
    assert csv_bytes(["a"], [["b\nc"]]) == b'\xef\xbb\xbfa\r\n"b\nc"\r\n'


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_a_sparkline_is_well_formed_and_keeps_gaps(palette: Any) -> None:
    points: list[list[float | None]] = [[0, 1.0], [1, 2.0], [2, None], [3, 4.0], [4, 3.0]]
    svg = sparkline(points, [[0, 0.5, 2.5], [4, 2.0, 5.0]], [[5, 2.0, 3.0, 4.0], [6, 2.0, 3.0, 4.0]], palette)
    root = ET.fromstring(svg)
    shapes = [child.tag.rpartition("}")[2] for child in root]
    assert shapes == ["polygon", "polygon", "polyline", "polyline", "polyline", "circle"]
    assert palette.line in svg


def test_a_picture_of_nothing_is_empty_not_an_error() -> None:
    assert list(ET.fromstring(sparkline([[0, None]], [], [], LIGHT))) == []
    empty = forecast_chart([], [], LIGHT, limit=None, x_ticks=[], y_text={})
    assert list(ET.fromstring(empty)) == []


def test_a_flat_line_lies_in_the_middle_and_a_forecast_takes_no_more_room_than_the_past() -> None:
    svg = sparkline([[0, 5.0], [10, 5.0]], [], [[12, 5, 5, 5], [5000, 9, 9, 9]], LIGHT, height=56)
    assert "28.0" in svg
    runs = re.findall(r'points="([^"]*)"', svg)
    assert all(0 <= float(place.split(",")[0]) <= 260 for run in runs for place in run.split())


def test_a_single_known_point_between_gaps_is_drawn() -> None:
    from dashboard.reports.svg import Frame

    runs = polylines([[0, None], [1, 2.0], [2, None]], Frame(0, 0, 10, 10, 0, 2, 0, 4))
    assert runs == ["5.0,5.0 5.0,5.0"]


def test_texts_in_pictures_are_escaped() -> None:
    svg = forecast_chart([[0, 1.0], [1, 2.0]], [], LIGHT, limit=3.0, x_ticks=[], y_text={"limit": PAYLOAD})
    assert "<script" not in svg
    ET.fromstring(svg)


def test_reports_are_light() -> None:
    heavy = ("dash", "plotly", "pandas", "numpy", "fastapi", "httpx2")
    code = f"import sys, dashboard.reports.capacity; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_dashboard_process_loads_no_numeric_stack() -> None:
    heavy = ("pandas", "numpy", "scipy", "sklearn", "pyarrow", "sqlalchemy")
    code = (
        "import sys; from dashboard.app import create; from dashboard.settings import Settings; create(Settings());"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", re.findall(r'"(capacity\.proposal\.\w+)"', CAPACITY_RULES.read_text("utf-8")))
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_advice_the_engine_can_give_is_a_sentence_not_a_key(kind: str, language: str) -> None:
    data = {"rows": [{**DATA["rows"][0], "proposal": kind}]}
    for made in (capacity_html(data, language, "UTC", NOON), capacity_csv(data, language, "UTC", NOON)):
        assert b"capacity.proposal" not in made
    assert not advice(kind, Words(language, zone_of("UTC"))).isidentifier()
