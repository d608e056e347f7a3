"""Advice on tuning, and what became of the changes that people made on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller

VERDICTS = {"improved": "teal", "worse": "red", "unchanged": "gray", "unknown": "yellow"}


def cards(caller: Caller, data: Mapping[str, Any]) -> list[Any]:
    words = caller.words
    return [
        widgets.card(advice(caller, data["advice"]), widgets.quiet(words("tuning.how")), title=words("tuning.advice")),
        widgets.card(applied(caller, data["applied"]), title=words("tuning.applied")),
    ]


def advice(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "tuning.advice", colour="teal")
    words = caller.words
    return widgets.table(
        [words(f"tuning.{name}") for name in ("what", "of", "measured", "do")],
        [
            [
                html.Span(words(f"tuning.kind.{row['kind']}"), className="wk-strong"),
                widgets.labels(row["labels"]),
                against(caller, row),
                words(f"tuning.do.{row['kind']}"),
            ]
            for row in rows
        ],
    )


def against(caller: Caller, row: Mapping[str, Any]) -> str:
    words = caller.words
    key = "above" if row["higher_is_worse"] else "below"
    value, limit = (words.quantity(row[name], row["unit"]) for name in ("value", "limit"))
    return words(f"tuning.{key}", value=value, limit=limit)


def applied(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "tuning.applied")
    words = caller.words
    return widgets.table(
        [words(f"tuning.{name}") for name in ("at", "what", "of", "what_done", "signal", "latency")],
        [
            [
                words.moment(row["at"]),
                html.Span(words.word("tuning.kind", row["kind"]), className="wk-strong"),
                widgets.labels(row["labels"]),
                html.Div([html.Div(row["what"]), widgets.quiet(row["by"])]),
                *(measure(caller, row["measures"], name) for name in ("signal", "latency")),
            ]
            for row in rows
        ],
    )


def measure(caller: Caller, measures: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Verdict, and the medians before and after."""
    words = caller.words
    found = next((one for one in measures if one["name"] == name), None)
    if found is None:
        return words("link.unknown")
    before, after = (words.quantity(found[side], found["unit"]) for side in ("before", "after"))
    better = words("tuning.better", share=words.ratio(found["better_by"]))
    return html.Div(
        [
            widgets.badge(words(f"tuning.verdict.{found['verdict']}"), VERDICTS[found["verdict"]]),
            html.Div(f"{before} → {after}", className="wk-line"),
            *([html.Div(better, className="wk-line")] if found["better_by"] is not None else []),
        ]
    )


def choices(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Advice to choose from; the value is what is recorded."""
    found = []
    for row in rows:
        named = ", ".join(row["labels"].values())
        value = json.dumps({"kind": row["kind"], "labels": row["labels"]}, sort_keys=True)
        said = caller.words(f"tuning.kind.{row['kind']}")
        found.append({"value": value, "label": f"{said}: {named}"})
    return found
