"""Where an incident began: ranked services, each with what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dash import dcc, html

from dashboard import widgets
from dashboard.context import Caller


def cards(caller: Caller, causes: Sequence[Mapping[str, Any]]) -> list[Any]:
    """One card; none where nothing is known."""
    lines = [_cause(caller, place, one) for place, one in enumerate(causes, 1)]
    return [widgets.card(*lines, title=caller.words("incident.causes"))] if lines else []


def groups(caller: Caller, found: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The host, service and pool that were odd as a whole; no card where none was."""
    lines = [
        html.Div(
            [
                widgets.row(
                    html.Span(
                        f"{caller.words('detection.scope.' + one['scope'])} {one['name']}", className="wk-strong"
                    ),
                    widgets.badge(caller.words.number(one["score"], 2), "blue"),
                ),
                shares(caller, [(row["metric"], row["share"]) for row in one["metrics"]]),
            ],
            className="wk-item",
        )
        for one in found
    ]
    return [widgets.card(*lines, title=caller.words("incident.groups"))] if lines else []


def shares(caller: Caller, found: Sequence[Sequence[Any]]) -> Any:
    """The metrics that contribute most, with the share of each."""
    parts = [html.Div([html.Code(metric, className="wk-series"), widgets.quiet(f" {caller.words.ratio(share)}")])
             for metric, share in found]  # fmt: skip
    return html.Div(parts)


def _cause(caller: Caller, place: int, one: Mapping[str, Any]) -> Any:
    words = caller.words
    remarks = []
    if one["explained_by"]:
        share = words.ratio(one["explained"])
        remarks.append(words("incident.causes.explained", share=share, service=one["explained_by"]))
    if one["suffering"]:
        remarks.append(words("incident.causes.suffering", services=", ".join(one["suffering"])))
    remarks += [words("incident.causes.changed", title=row["title"]) for row in one["changes"]]
    evidence = [_evidence(caller, row) for row in one["evidence"]]
    head = widgets.row(
        html.Span(f"{place}.", className="wk-text"),
        _name(one),
        widgets.badge(words.number(one["score"], 2), "blue"),
    )
    return html.Div([head, *([widgets.quiet(" · ".join(remarks))] if remarks else []), *evidence], className="wk-item")


def _name(one: Mapping[str, Any]) -> Any:
    """A service leads to its page; a host has none."""
    if one.get("host"):
        return html.Span(one["service"], className="wk-strong")
    return dcc.Link(one["service"], href=f"/services/{quote(one['service'], safe='')}", className="wk-strong")


def _evidence(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    if row["kind"] == "alert":
        return html.Div(words("incident.causes.alert", name=row["metric"]), className="wk-text")
    course = f" {words.number(row['before'], 2)} → {words.number(row['during'], 2)}  {row['text']}"
    return html.Div([html.Code(row["metric"], className="wk-series"), widgets.quiet(course)])
