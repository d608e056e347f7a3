"""What is watched: how many series by which detector, as what kind of quantity, which are learned, the oddest ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller

#: Series shown.
SHOWN = 15


def card(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    natures = [words("scored.count", name=words(f"scored.nature.{name}"), count=words.number(count, 0))
               for name, count in sorted(data["natures"].items())]  # fmt: skip
    detectors = [words("scored.count", name=name, count=words.number(count, 0))
                 for name, count in sorted(data["detectors"].items())]  # fmt: skip
    facts = widgets.facts(
        [
            (words("scored.total"), words.number(data["total"], 0)),
            (words("scored.learning"), words.number(data["learning"], 0)),
            (words("scored.detectors"), " · ".join(detectors)),
            (words("scored.natures"), " · ".join(natures)),
        ]
    )
    head = [words(f"scored.{name}") for name in ("series", "detector", "nature", "since", "score")]
    rows = [_row(caller, row) for row in data["series"][:SHOWN]]
    parts = [facts, widgets.table(head, rows, numeric=(4,)), widgets.quiet(words("scored.note"))]
    return widgets.card(*parts, title=words("scored.title"))


def _row(caller: Caller, row: Mapping[str, Any]) -> list[Any]:
    words = caller.words
    since = words.moment(row["first_at"])
    learned = [widgets.badge(words("scored.is_learning"))] if row["learning"] else []
    return [
        html.Code(row["series"], className="wk-series"),
        row["detector"],
        words(f"scored.nature.{row['nature']}"),
        html.Div([html.Div(since), *learned]),
        words.number(row["score"]),
    ]
