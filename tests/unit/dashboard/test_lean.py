"""The document asks for no script that it does not need, and for Plotly at Dash's own address."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dash import html
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.lean import PLOTLY, PLOTLY_PATH, LeanDash, serve_plotly


def document(*, charts: bool = False, text: str = "") -> str:
    server = FastAPI()
    dash = LeanDash("dashboard", server=server, assets_folder="", serve_locally=True, enable_mcp=False)  # type: ignore[arg-type]
    dash.layout = html.Div(text)
    dash.draws_charts = lambda: charts
    return TestClient(server).get("/").text


def test_the_needless_scripts_are_gone_and_the_needed_ones_are_there() -> None:
    scripts = re.findall(r'<script src="([^"]+)"', document())
    assert not [one for one in scripts if "polyfill" in one or "dash_table" in one]
    for needed in ("react@", "react-dom@", "dash_core_components", "dash_html_components", "dash_renderer"):
        assert any(needed in one for one in scripts), needed


def test_the_first_document_after_a_start_has_our_scripts_whatever_page_it_is(tmp_path: Path) -> None:
    (tmp_path / "static.js").write_text("'ours'")
    server = FastAPI()
    dash = LeanDash("dashboard", server=server, assets_folder=str(tmp_path), serve_locally=True, enable_mcp=False)  # type: ignore[arg-type]
    dash.layout = html.Div("hello")
    with TestClient(server) as client:
        assert "static.js" in client.get("/detection/alert-7").text


def test_the_basic_bundle_stands_at_the_address_of_the_whole() -> None:
    server = FastAPI()
    serve_plotly(server)
    answer = TestClient(server).get(PLOTLY_PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    first, rest = answer.content.split(b"\n", 1)
    assert first == b"//# allFunctionsCalledOnLoad"  # a word to Chromium's compiler: it counts in the first line alone
    assert rest == PLOTLY.read_bytes()
    assert b"plotly.js (basic - minified)" in rest[:200]


def test_the_bundle_is_the_version_that_plotly_speaks() -> None:
    from plotly.offline import get_plotlyjs_version

    assert str(get_plotlyjs_version()) in PLOTLY.name


def test_plotly_loads_with_the_frame_of_a_page_that_draws() -> None:
    assert PLOTLY_PATH not in document()
    drawing = document(charts=True).partition('id="_dash-renderer"')[2]
    assert f'<script src="{PLOTLY_PATH}"></script>' in drawing
    assert re.search(r'<script src="/_dash-component-suites/dash/dcc/async-graph\.v[^"]+"></script>', drawing)


def given(page: str, path: str) -> Any:
    """What a browser finds in the element."""
    found = re.search(rf'<script type="application/json" id="{path}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_layout_and_callbacks_stand_in_the_document_as_data() -> None:
    page = document(text="hello")
    assert given(page, "_dash-layout")["props"]["children"] == "hello"
    assert given(page, "_dash-dependencies") == []


def test_no_text_of_the_layout_ends_its_element_or_is_a_mark_of_the_template() -> None:
    text = "</script><script>alert(1)</script><!-- {%renderer%} {%scripts%}"
    page = document(text=text)
    assert given(page, "_dash-layout")["props"]["children"] == text
    assert "alert(1)</script>" not in page
    assert page.count("react-dom@") == document().count("react-dom@")


def test_the_script_of_charts_is_kept_for_a_year() -> None:
    server = FastAPI()
    dash = LeanDash("dashboard", server=server, assets_folder="", serve_locally=True, enable_mcp=False)  # type: ignore[arg-type]
    dash.layout, dash.draws_charts = html.Div(), lambda: True
    client = TestClient(server)
    address = re.search(r'"(/_dash-component-suites/dash/dcc/async-graph[^"]+)"', client.get("/").text)
    assert address
    answer = client.get(address[1])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000"
