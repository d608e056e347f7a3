"""The risk of every service to fail soon: how likely, why, what to look at first, and how good predictions were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller

#: Services shown: those in trouble and of the highest risk.
SHOWN = 50
#: Signs shown of a service; the engine has the strongest first.
MOST_SIGNS = 5
#: Length of a slot, in which each service is looked at once.
SLOT_SECONDS = 600
STATES = {"open": "red", "warning": "orange", "calm": "teal", "learning": "gray"}


def cards(caller: Caller, data: Mapping[str, Any]) -> list[Any]:
    """Advice first, then every service."""
    words = caller.words
    advice = [widgets.card(_advice(caller, data["advice"]), title=words("risk.advice"))] if data["advice"] else []
    return [widgets.card(_services(caller, data), title=words("risk.title")), *advice]


def _services(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    if not data["services"]:
        return widgets.empty(caller, "risk")
    names = ("service", "risk", "usual", "signs", "brier", "skill", "hits", "lead")
    head = [words(f"risk.{name}") for name in names]
    note = words("risk.note", minutes=words.number(data["horizon_seconds"] / 60, 0), warn=words.ratio(data["warn"]))
    rows = [_service(caller, row) for row in data["services"]]
    more = [html.Div(widgets.quiet(words("risk.services_more", count=words.number(data["more"], 0))))]
    table = widgets.table(head, rows, numeric=(2, 4, 5, 6, 7))
    return html.Div([table, *(more if data["more"] else []), widgets.quiet(note)])


def _service(caller: Caller, row: Mapping[str, Any]) -> list[Any]:
    words, worth = caller.words, row["worth"]
    if row["state"] == "learning":
        badge = widgets.badge(words("risk.state.learning"), STATES["learning"])
        risk = html.Div([badge, *(html.Div(widgets.quiet(line)) for line in _left(caller, row))])
    elif row["risk"] is None:
        risk = widgets.badge(words(f"risk.state.{row['state']}"), STATES[row["state"]])
    else:
        risk = widgets.row(
            widgets.badge(words(f"risk.state.{row['state']}"), STATES[row["state"]]),
            html.Span(words.ratio(row["risk"]), className="wk-strong"),
        )
    hits = words("risk.of", some=worth["hits"], all=worth["hits"] + worth["misses"])
    return [
        html.Span(row["service"], className="wk-strong"),
        risk,
        words.ratio(row["base"]),
        _signs(caller, row["signs"]),
        words.number(worth["brier"], 4),
        words.number(None if worth["skill"] is None else round(worth["skill"], 2) + 0.0, 2),
        hits if worth["hit_rate"] is not None else words.number(None),
        words.seconds(worth["lead_seconds"]),
    ]


def _left(caller: Caller, row: Mapping[str, Any]) -> Iterator[str]:
    """What is missing until there is a risk."""
    words = caller.words
    if row["incidents_needed"]:
        needed = row["incidents"] + row["incidents_needed"]
        yield words("risk.left.incidents", some=row["incidents"], all=needed)
    if row["slots_needed"]:
        yield words("risk.left.time", time=words.seconds(row["slots_needed"] * SLOT_SECONDS))


def _signs(caller: Caller, signs: Sequence[Mapping[str, Any]]) -> Any:
    lines = [html.Div(_sign(caller, one), className="wk-line") for one in signs[:MOST_SIGNS]]
    if len(signs) > MOST_SIGNS:
        lines.append(widgets.quiet(caller.words("risk.more", count=len(signs) - MOST_SIGNS)))
    return html.Div(lines, className="wk-said")


def _advice(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    return html.Ol(
        [
            html.Li(
                [
                    html.Div(
                        words(f"risk.do.{one['kind']}", service=one["service"], what=one["what"]), className="wk-strong"
                    ),
                    widgets.quiet(_sign(caller, one)),
                ]
            )
            for one in rows
        ]
    )


def _sign(caller: Caller, one: Mapping[str, Any]) -> str:
    """The evidence: what there is, and how often it stood before an incident."""
    words, how = caller.words, one["how"]
    if one["kind"] == "exhaustion":
        how = words.moment(datetime.fromisoformat(how))
    elif one["kind"] == "anomaly":
        how = words.word("detection.kind", how)
    said = words(f"risk.sign.{one['kind']}", what=one["what"], how=how)
    seen = words("risk.seen", before=one["before"], times=one["times"]) if one["times"] else words("risk.never")
    return f"{said} · {seen}"
