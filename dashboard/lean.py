"""What the browser need not load: half of the script of a plain Dash page.

Left out of every page: the polyfill for browsers of 2017, which also slows new ones (the one part that Dash's script
still asks for is assets/regenerator-runtime), and Dash's old table. Plotly comes with a page that draws charts, or with
the first chart, as its "basic" bundle (lines, bars, pies), a quarter of the whole. docs/house.md says where both are
from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dash import Dash
from fastapi import FastAPI
from starlette.responses import FileResponse

PLOTLY = Path(__file__).parent / "vendor" / "plotly-basic-4.1.1.min.js"
#: Where Dash looks for the whole bundle.
PLOTLY_PATH = "/_dash-component-suites/plotly/package_data/plotly.min.js"
NEEDLESS = ("/dash/deps/polyfill@", "/dash/dash_table/bundle.")
SCRIPT = re.compile(r'<script src="([^"]+)"></script>\n?')


class LeanDash(Dash):
    """Dash with fewer scripts in its page. ``draws_charts`` says whether the page being loaded needs Plotly."""

    draws_charts: Callable[[], bool] = staticmethod(lambda: False)

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]  # as Dash's own docs override it
        def keep(found: re.Match[str]) -> str:
            return "" if any(one in found[1] for one in NEEDLESS) else found[0]

        parts["scripts"] = SCRIPT.sub(keep, str(parts.get("scripts", "")))
        if self.draws_charts():
            parts["scripts"] += f'<script src="{PLOTLY_PATH}"></script>'
        return str(super().interpolate_index(**parts))  # type: ignore[no-untyped-call]


def serve_plotly(server: FastAPI) -> None:
    """Answers Dash's own address of Plotly; to be called before Dash registers its routes."""

    async def basic() -> FileResponse:
        headers = {"cache-control": "private, max-age=86400"}
        return FileResponse(PLOTLY, media_type="text/javascript", headers=headers)

    server.add_api_route(PLOTLY_PATH, basic, methods=["GET"], include_in_schema=False)
