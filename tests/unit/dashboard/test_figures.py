"""Figures say what is known, on the reader's clock, and draw labels as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from support.fake_engine import PAYLOAD, FakeEngine

from dashboard import figures
from dashboard.context import Theme

NOON_MS = round(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
SHANGHAI = ZoneInfo("Asia/Shanghai")
NAMES = {"band": "B", "anomaly": "A"}
LINES = {"history": "H", "forecast": "F", "band80": "80", "band95": "95", "limit": "L"}


def series(**changes: Any) -> dict[str, Any]:
    points = [[NOON_MS + 60_000 * i, value] for i, value in enumerate((1.0, None, 9.0))]
    band = {"lower": [0, 0, 0], "upper": [2, 2, 2], "score": [0.1, None, 0.9]}
    found = {"name": "x", "labels": {}, "points": points, **band}
    return {**found, **changes}


def shown(times: Sequence[int]) -> list[str]:
    """As Plotly writes numbers on an axis of dates: as if they were UTC."""
    return [f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}" for ms in times]


def test_times_are_on_the_readers_clock_also_across_a_clock_change() -> None:
    assert shown(figures.local_times([NOON_MS], SHANGHAI)) == ["2026-03-01 20:00"]
    before = round(datetime(2026, 3, 29, 0, 59, tzinfo=UTC).timestamp() * 1000)
    across = figures.local_times([before, before + 60_000], ZoneInfo("Europe/Berlin"))
    assert shown(across) == ["2026-03-29 01:59", "2026-03-29 03:00"]


def test_a_chart_has_band_line_with_its_gap_and_the_anomaly() -> None:
    figure = figures.chart([series()], "light", SHANGHAI, NAMES)
    lower, upper, line, marks = figure["data"]
    assert (lower["y"], upper["y"], upper["fill"]) == ([0, 0, 0], [2, 2, 2], "tonexty")
    assert line["y"] == [1.0, None, 9.0]
    assert line["connectgaps"] is False
    assert (marks["y"], shown(marks["x"])) == ([9.0], ["2026-03-01 20:02"])


def test_without_scores_there_is_a_line_alone() -> None:
    bare = {"name": "x", "labels": {}, "points": [[NOON_MS, 1.0]]}
    assert [trace["mode"] for trace in figures.chart([bare], "dark", SHANGHAI, NAMES)["data"]] == ["lines+markers"]


def test_many_series_are_drawn_without_bands() -> None:
    figure = figures.chart([series(score=None)] * 9, "light", SHANGHAI, NAMES)
    assert len(figure["data"]) == 9


def test_labels_are_text_in_legends() -> None:
    figure = figures.chart([series(name=PAYLOAD)], "light", SHANGHAI, NAMES)
    assert all("<" not in trace.get("name", "") for trace in figure["data"])


def test_a_single_point_of_a_pool_is_seen_and_shares_are_in_per_cent() -> None:
    known, _ = FakeEngine().capacity(datetime(2026, 3, 1, tzinfo=UTC))["rows"]
    young = {**known, "unit": "ratio", "history": known["history"][:1], "forecast": []}
    found = figures.capacity(young, "dark", SHANGHAI, LINES)
    assert found["data"][0]["mode"] == "lines+markers"
    assert found["layout"]["yaxis"]["tickformat"] == ".3~%"
    whole = figures.capacity({**known, "unit": "bytes"}, "dark", SHANGHAI, LINES)
    assert whole["data"][0]["mode"] == "lines"
    assert whole["layout"]["yaxis"]["ticksuffix"] == "B"


def test_capacity_draws_history_two_bands_forecast_and_limit() -> None:
    known, unknown = FakeEngine().capacity(datetime(2026, 3, 1, tzinfo=UTC))["rows"]
    names = [trace.get("name") for trace in figures.capacity(known, "light", SHANGHAI, LINES)["data"]]
    assert names == ["H", None, "95", None, "80", "F", "L"]
    assert [t["name"] for t in figures.capacity(unknown, "dark", SHANGHAI, LINES)["data"]] == ["H", "L"]
    part = figures.component(known["components"]["trend"], "T", "light", SHANGHAI)
    assert part["layout"]["height"] == 150


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_tile_is_a_picture_without_markup_in_its_address(theme: Theme) -> None:
    address = figures.tile_image([[0, 1.0], [1, 2.0]], [], [], theme)
    assert address.startswith("data:image/svg+xml,%3Csvg")
    assert figures.palette(theme).line in unquote(address)


def test_deeds_are_lines_with_a_sign_that_tells_what_and_leads_there() -> None:
    deed = figures.Mark(NOON_MS, f"deploy {PAYLOAD}", "#8b5cf6", 'https://ci.example.com/7?a=1"><b>')
    look = figures.chart([series()], "light", SHANGHAI, NAMES, [deed])["layout"]
    (line,), (sign,) = look["shapes"], look["annotations"]
    assert shown([line["x0"], sign["x"]]) == ["2026-03-01 20:00"] * 2
    assert sign["text"] == '<a href="https://ci.example.com/7?a=1%22%3E%3Cb%3E">▼</a>'
    assert "<" not in sign["hovertext"]


def test_one_legend_stands_for_all_bands_and_a_share_is_never_expected_above_all() -> None:
    ratio = series(labels={"__name__": "cpu_usage", "unit": "ratio"}, points=[[NOON_MS, 0.9], [NOON_MS + 60_000, 0.8]],
                   lower=[-0.1, 0.5], upper=[1.3, None], score=[0.1, 0.1])  # fmt: skip
    figure = figures.chart([ratio, ratio], "light", SHANGHAI, NAMES)
    bands = [trace for trace in figure["data"] if trace.get("fill") == "tonexty"]
    assert [trace["showlegend"] for trace in bands] == [True, False]
    assert [trace["y"] for trace in figure["data"][:2]] == [[0.0, 0.5], [1.0, None]]
    assert figure["layout"]["yaxis"]["tickformat"] == ".3~%"
