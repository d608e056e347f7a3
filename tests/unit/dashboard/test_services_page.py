"""The pages of the catalogue: what is watched, what is lacking, and one service with everything about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import unquote

from dash import html
from support import fake_catalogue
from support.pages import handlers, markup, recorded, texts

from dashboard import widgets
from dashboard.context import Caller
from dashboard.page import Request
from dashboard.pages import service, services
from dashboard.permissions import Permission
from dashboard.reports.panel_svg import BOX_WIDTH, service_map
from dashboard.reports.svg import LIGHT

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
DATA = fake_catalogue.services(NOON)
ONE = fake_catalogue.service(NOON, "checkout")
CHART = {"series": [{"points": [[0, 1.0], [60_000, 2.0]]}] * 9, "warnings": [], "error": "", "marks": []}


async def test_the_list_says_what_each_service_lacks_and_leads_to_it(caller: Caller) -> None:
    _, refresh = handlers(services)["refresh"]  # the page of one service comes first
    shown, rows, _ = await refresh(caller, 0)
    assert [row["missing"] for row in rows] == ["", "golden signals, logs, alert rule, owner"]
    assert rows[0]["href"] == "/services/checkout"
    said = texts(shown)
    for part in ("target 90%", "Watched completely", "50%", "Left out of asset lists: 1", "'Oracle 11g'"):
        assert part in said, part


def test_the_map_draws_layers_and_names_single_points(caller: Caller, chinese: Caller) -> None:
    drawn = unquote(markup(services.picture(caller, DATA)))
    assert "Single points of failure: orders-db" in drawn
    assert drawn.count("<rect") == 4, "each box has a ground of its own, so that arrows pass behind it"
    assert drawn.count("<path d=") == 2  # the arrow and its head
    assert "stroke-dasharray" in drawn
    assert "<b>" not in drawn.split("data:image/svg+xml,")[1].split('"')[0]
    assert "单点故障" in texts(services.picture(chinese, DATA))
    alone = services.picture(caller, DATA | {"edges": []})
    assert "No dependencies are known yet" in texts(alone)


def test_an_empty_catalogue_says_how_to_begin(caller: Caller) -> None:
    assert "catalogue.services" in texts(widgets.empty(caller, "services"))


def test_one_service_shows_limits_signals_panels_and_metrics(caller: Caller) -> None:
    found = service.body(caller, ONE, [CHART])
    said, drawn = texts(found), unquote(markup(found))
    for part in ("1 GiB", "0.25", "HighErrorRate", "Requests answered", "and 1 more series", "checkout.success"):
        assert part in said, part
    assert drawn.count("<polyline") == 8
    assert "javascript:" not in drawn
    assert "/explore?expr=sum" in drawn


def test_a_panel_without_data_says_so(chinese: Caller) -> None:
    empty = {"series": [], "warnings": [], "error": "", "marks": []}
    assert "近几小时没有数据" in texts(service.body(chinese, ONE, [empty]))
    wrong = {"series": [], "warnings": [], "error": "parse error", "marks": []}
    assert "parse error" in texts(service.body(chinese, ONE, [wrong]))


async def test_the_page_of_a_service_asks_for_its_panels(caller: Caller) -> None:
    refresh, _ = handlers(services)["refresh"]
    assert "Checkout" in texts(await refresh(caller, 0, "checkout"))


def test_the_frame_stands_before_the_data(caller: Caller) -> None:
    assert "services-grid" in markup(services.layout(caller, Request("/services", "", {})))
    assert "service-body" in markup(services.layout(caller, Request("/services/a", "a", {})))
    assert set(recorded(services).declared.values()) == {Permission.READ}


def test_an_arrow_over_several_layers_passes_beside_the_boxes_between() -> None:
    boxes: list[dict[str, str | int]] = [
        {"name": name, "title": name, "layer": layer, "state": "up"} for layer, name in enumerate("abc")
    ]
    direct = service_map(boxes, [("a", "b", False)], LIGHT)
    over = service_map(boxes, [("a", "c", False)], LIGHT)
    right = re.search(r'd="M([\d.]+),[\d.]+ C', over)
    assert right is not None
    assert float(right[1]) == BOX_WIDTH + 24.0
    assert 'd="M90.0,' in direct


def test_charts_without_data_are_named_in_one_line(caller: Caller) -> None:
    data = fake_catalogue.service(caller.now(), "checkout")
    empty = {"series": [], "warnings": [], "error": "", "marks": []}
    text = markup(html.Div(service.families(caller, data, [empty])))
    assert caller.words("service.no_data_of", names="Requests") in text
    assert "wk-panel" not in text
