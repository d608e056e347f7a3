"""The pages Business and Predictions draw what the engine says, and say what it does not know."""

from __future__ import annotations

import csv
import io
from base64 import b64decode
from datetime import UTC, datetime

from support import fake_business
from support.pages import handlers, markup, recorded, texts

from dashboard.context import Caller
from dashboard.pages import business, predictions
from dashboard.permissions import Permission
from dashboard.reports.predictions import predictions_html

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATA = fake_business.business(NOON)
AHEAD = fake_business.predictions(NOON)["rows"]


def test_the_worst_comes_first_with_its_target_band_owner_and_age(caller: Caller) -> None:
    said = texts(business.body(caller, DATA))
    assert said.index("Payment success") < said.index("Longest waiting job") < said.index("Revenue")
    for part in ("93.02%", "Target: at least 98%", "The target is missed.", "Usual: 97% to 102%", "Owner: sales",
                 "Read 2 min ago from: database", "Under way (2026-03-01): 40, not judged",
                 "Missed 1 · Watch 1 · Unknown 1"):  # fmt: skip
        assert part in said, part


def test_a_failing_source_shows_its_error_and_no_number(caller: Caller) -> None:
    row = next(row for row in DATA["rows"] if row["name"] == "visitors")
    tile = business.tile(caller, row)
    assert "HTTP 503" in texts(tile)
    assert "—" in texts(tile)
    assert "wk-stale" in markup(tile)
    assert "Never read" in texts(business.tile(caller, {**row, "age_seconds": None}))


def test_money_and_names_in_chinese(chinese: Caller) -> None:
    said = texts(business.body(chinese, DATA))
    for part in ("营收", "¥12,345.67", "未达标 1", "目标：不低于 98%", "负责人：sales", "负责人：尚未指定",
                 "学习中：3/20 个周期", "订单状态分布：shop"):  # fmt: skip
        assert part in said, part


def test_markup_in_a_title_stays_text(caller: Caller) -> None:
    assert "<b>Order value</b>" in texts(business.body(caller, DATA))
    assert "dangerously" not in markup(business.body(caller, DATA))


def test_the_funnel_shows_each_state_with_its_share(caller: Caller) -> None:
    said = texts(business.body(caller, DATA))
    assert "Orders by state: shop, 2026-02-28" in said
    assert "80%" in said


def test_without_figures_the_page_says_what_to_add(caller: Caller) -> None:
    assert "No source: add a shop database" in texts(business.body(caller, {**DATA, "rows": []}))
    assert "No source: set predict: on" in texts(predictions.body(caller, []))


async def test_the_business_page_refreshes_and_downloads(caller: Caller) -> None:
    found = handlers(business)
    assert "wk-as-of" in markup(await found["refresh"][0](caller, 1))
    table, page = [(await save(caller, 1))[1] for save in found["save"]]
    assert table["filename"].endswith(".csv")
    assert b64decode(table["content"]).startswith(b"\xef\xbb\xbf")
    assert b"Predictions" in b64decode(page["content"])


async def test_the_predictions_page_chooses_the_asked_figure(caller: Caller) -> None:
    refresh = handlers(predictions)["refresh"][0]
    body, names, chosen, detail = await refresh(caller, 1, None)
    assert [name["value"] for name in names] == ["shop.revenue", "signups"]
    assert chosen == "shop.revenue"
    assert "wk-as-of" in markup(body)
    assert len(detail) == 1
    _, _, same, detail = await refresh(caller, 1, "signups")
    assert "Not enough history yet: 5 of 14 days." in texts(detail)
    assert same is not None


def test_a_prediction_shows_interval_past_and_record(caller: Caller) -> None:
    detail = predictions.detail(caller, AHEAD[0])
    said = texts(detail)
    for part in ("In 90 days", "with 80% certainty", "Forecast and actual", "up to 30 days", "Better than a naive"):
        assert part in said, part
    assert markup(detail).count('"type": "scatter"') >= 8  # history, two bands, forecast; what was said, and what came
    table = texts(predictions.body(caller, AHEAD))
    for part in ("In 7 days", "CN¥107.00", "78%", "6.2%", "0.66", "3 h ago"):
        assert part in table, part


def test_a_figure_without_record_says_so(caller: Caller) -> None:
    said = texts(predictions.detail(caller, {**AHEAD[1], "error": "HTTP 503"}))
    assert "No forecast has come due yet." in said
    assert "HTTP 503" in said


def test_whoever_may_read_may_see_and_download_both_pages() -> None:
    for page in (business, predictions):
        assert set(recorded(page).declared.values()) == {Permission.READ}


async def test_predictions_leave_as_a_sheet_with_intervals_and_as_a_page_with_their_record(caller: Caller) -> None:
    sheet, page = [(await save(caller, 1))[1] for save in handlers(predictions)["save"]]
    assert sheet["filename"].startswith("predictions-")
    assert sheet["filename"].endswith(".csv")
    lines = list(csv.reader(io.StringIO(b64decode(sheet["content"]).decode("utf-8-sig"))))
    ahead = [dict(zip(lines[0], line, strict=True)) for line in lines[1:] if line[0] == "Forecast"]
    assert len(ahead) == 90
    assert [ahead[6][name] for name in ("Name", "80% low", "Expected", "80% high")] == [
        "shop.revenue", "90.0", "107.0", "117.0",
    ]  # fmt: skip
    assert [line[10] for line in lines[1:] if line[0] == "Accuracy"] == ["7", "30", "90"]
    told = b64decode(page["content"]).decode()
    for said in ("Predictions report", "Accuracy so far", "up to 30 days", "Sign-ups", "<svg"):
        assert said in told, said
    assert "<script" not in told


def test_a_report_without_forecasts_says_what_to_add(chinese: Caller) -> None:
    words = chinese.words
    made = predictions_html({"rows": []}, words.language, words.zone.key, NOON).decode()
    assert words("predictions.empty") in made
