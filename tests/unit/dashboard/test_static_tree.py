"""What only shows something leaves as one plain tree; what acts stays what it was."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dash_mantine_components as dmc
import pytest
from dash import dcc, html

from dashboard.static_tree import Static, fold, lighten
from dashboard.widgets import attributes

ASSETS = Path(__file__).parents[3] / "dashboard" / "assets"


def sent(component: Any) -> Any:
    """As Dash puts it on the wire."""
    return json.loads(json.dumps(component, default=lambda one: one.to_plotly_json()))


def test_a_table_becomes_one_component_with_the_same_text_and_attributes() -> None:
    row = html.Tr([html.Td(html.Code("up == 0", className="x"), **attributes(data_at="1")), html.Td(7)])
    light = lighten(html.Div(html.Table(html.Tbody([row])), className="wide", style={"minWidth": 100}))
    assert isinstance(light, Static)
    assert sent(light) == {
        "namespace": "dashboard_static",
        "type": "Static",
        "props": {
            "tree": [
                "div",
                {"className": "wide", "style": {"minWidth": 100}},
                [
                    [
                        "table",
                        {},
                        [
                            [
                                "tbody",
                                {},
                                [
                                    [
                                        "tr",
                                        {},
                                        [
                                            ["td", {"data-at": "1"}, [["code", {"className": "x"}, ["up == 0"]]]],
                                            ["td", {}, [7]],
                                        ],
                                    ]
                                ],
                            ]
                        ],
                    ]
                ],
            ]
        },
    }


def test_what_has_an_id_or_acts_is_kept_and_its_neighbours_are_folded() -> None:
    button = dmc.Button("go", id="go")
    page = html.Div([html.P([html.Strong("a"), "b"]), html.Div([button, html.Ul([html.Li("c")])]), html.Div(id="hole")])
    light = lighten(page)
    first, middle, hole = light.children
    assert isinstance(first, Static)
    assert middle.children[0] is button
    assert isinstance(middle.children[1], Static)
    assert hole.id == "hole"


def test_clicks_and_unknown_components_are_no_pictures() -> None:
    assert fold(html.Div("x", n_clicks=0)) is None
    assert fold(html.Div(dcc.Graph())) is None
    assert fold(html.Button("x")) is None
    assert fold(html.Div([None, "x"])) == ["div", {}, ["x"]]


def test_a_link_of_ours_is_marked_so_that_the_page_is_not_loaded_anew() -> None:
    assert fold(dcc.Link("all", href="/incidents")) == ["a", {"href": "/incidents", "data-page": ""}, ["all"]]
    assert fold(html.A("csv", href="/reports/1.csv")) == ["a", {"href": "/reports/1.csv"}, ["csv"]]


def test_lists_of_outputs_and_plain_values_pass() -> None:
    rows = [{"id": 1}]
    light = lighten([html.Div([html.P("a"), html.P("b")]), rows, None, "text"])
    assert isinstance(light[0], Static)
    assert light[1:] == [rows, None, "text"]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        *((good, True) for good in ("/rules?x=1#y", "#top", "https://wiki.example/a", "mailto:ops@example.com", "/")),
        *((bad, False) for bad in ("javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x")),
        *((bad, False) for bad in ("//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example")),
    ],
)
def test_only_harmless_addresses_are_drawn(address: str, kept: bool) -> None:
    script = (ASSETS / "static.js").read_text(encoding="utf-8")
    found = re.search(r"const HARMLESS = /(.+)/;", script)
    assert found
    assert bool(re.match(found[1].replace("\\/", "/"), address)) is kept
