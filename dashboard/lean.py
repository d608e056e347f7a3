"""What the browser need not load: half of the script of a plain Dash page.

Left out of every page: the polyfill for browsers of 2017, which also slows new ones (the one part that Dash's script
still asks for is assets/regenerator-runtime), and Dash's old table. Plotly comes with a page that draws charts, or with
the first chart, as its "basic" bundle (lines, bars, pies), a quarter of the whole. docs/house.md says where both are
from.

What Dash's script would ask for first of all, the layout and the list of callbacks, stands in the document:
assets/client.js answers it from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dash
from dash import Dash
from dash.fingerprint import build_fingerprint
from fastapi import FastAPI
from plotly.io.json import to_json_plotly
from starlette.responses import Response

PLOTLY = Path(__file__).parent / "vendor" / "plotly-basic-4.1.1.min.js"
#: Where Dash looks for the whole bundle.
PLOTLY_PATH = "/_dash-component-suites/plotly/package_data/plotly.min.js"
#: Chromium's word for "compile every function at once", which it then keeps in its cache. Left alone it keeps only what
#: has run when the script has loaded, and compiles the thousand functions that draw anew at every load.
EAGER = b"//# allFunctionsCalledOnLoad\n"
NEEDLESS = ("/dash/deps/polyfill@", "/dash/dash_table/bundle.")
#: What ``dcc.Graph`` asks for when it is first drawn, Plotly aside.
GRAPH = "dcc/async-graph.js"
SCRIPT = re.compile(r'<script src="([^"]+)"></script>\n?')


class LeanDash(Dash):
    """Dash with fewer scripts in its page.

    ``draws_charts`` says whether the page being loaded needs Plotly, ``document`` is given what draws it.
    """

    draws_charts: Callable[[], bool] = staticmethod(lambda: False)
    document: Callable[[Callable[[], str]], str] = staticmethod(lambda draw: draw())
    _callbacks_text: tuple[int, str] = (-1, "")

    def index(self, *args: Any, **options: Any) -> str:
        def draw() -> str:
            # Dash finds our scripts at the first request for "/" or for one of its own paths; the first document after
            # a start may be any page, such as the one that the link of a message opens.
            self._setup_server()  # type: ignore[no-untyped-call]
            return str(super(LeanDash, self).index(*args, **options))  # type: ignore[no-untyped-call]

        return self.document(draw)

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]  # as Dash's own docs override it
        def keep(found: re.Match[str]) -> str:
            return "" if any(one in found[1] for one in NEEDLESS) else found[0]

        parts["scripts"] = SCRIPT.sub(keep, str(parts.get("scripts", "")))
        parts["config"] += _given("_dash-layout", self.get_layout())
        parts["config"] += self._given_callbacks()
        if self.draws_charts():  # read while the frame is drawn and the first answer is under way
            parts["renderer"] += "".join(f'<script src="{address}"></script>' for address in _drawing())
        return str(super().interpolate_index(**parts))  # type: ignore[no-untyped-call]

    def _given_callbacks(self) -> str:
        """The same for every document, once all callbacks are there."""
        count = len(self._callback_list)
        if self._callbacks_text[0] != count:
            self._callbacks_text = (count, _given("_dash-dependencies", self._callback_list))
        return self._callbacks_text[1]


def _given(path: str, answer: Any) -> str:
    """An answer as data, which no browser runs. Nothing in it ends the element or is a mark of the template."""
    text = str(to_json_plotly(answer)).replace("<", "\\u003c").replace("{%", "\\u007b%")
    return f'<script type="application/json" id="{path}">{text}</script>'


def _drawing() -> tuple[str, str]:
    """Addresses of what draws a chart; that of Dash's file changes with the file."""
    changed = int((Path(dash.__file__).parent / GRAPH).stat().st_mtime)
    name = build_fingerprint(GRAPH, dash.__version__, changed)  # type: ignore[no-untyped-call]
    return PLOTLY_PATH, f"/_dash-component-suites/dash/{name}"


def serve_plotly(server: FastAPI) -> None:
    """Answers Dash's own address of Plotly; to be called before Dash registers its routes."""

    body = EAGER + PLOTLY.read_bytes()

    async def basic() -> Response:
        return Response(body, media_type="text/javascript", headers={"cache-control": "private, max-age=86400"})

    server.add_api_route(PLOTLY_PATH, basic, methods=["GET"], include_in_schema=False)
