"""What a dual link did and waits for: the state of its circuit, its switches, and what the way back still needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller

PHASES = {"primary": "teal", "backup": "orange", "half_open": "blue"}


def facts(caller: Caller, link: Mapping[str, Any]) -> Any:
    words, flapping = caller.words, link["flapping"]
    since = words.moment(link["since"]) if link["since"] else words("dual_links.ever")
    many = {"changes": flapping["changes"], "limit": flapping["limit"]}
    window = words.seconds(flapping["window_seconds"])
    rows = [
        (words("dual_links.circuit"), widgets.badge(words(f"dual_links.phase.{link['phase']}"), PHASES[link["phase"]])),
        (words("dual_links.since"), since),
        (words("dual_links.switches"), words.number(link["switches"], 0)),
        (words("dual_links.flaps"), words.number(link["flaps"], 0)),
        (words("dual_links.flapping"), words("dual_links.flapping_value", **many, window=window)),
        (words("dual_links.pinned"), pinned(caller, link["pinned"])),
        (words("dual_links.rules"), rules(caller, link["rules"])),
    ]
    return widgets.facts(rows)


def pinned(caller: Caller, pin: Mapping[str, Any] | None) -> str:
    words = caller.words
    if not pin:
        return words("dual_links.not_pinned")
    side = words(f"link.side.{pin['side']}")
    return words("dual_links.pinned_value", side=side, by=pin["user"], reason=pin["reason"])


def rules(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> str:
    words = caller.words
    named = [f"{row['name']} ({words.word('mode', row['mode'])})" for row in rows]
    return ", ".join(named) if named else words("dual_links.no_rule")


def way_back(caller: Caller, link: Mapping[str, Any]) -> Any:
    """The hysteresis, a line each: what is needed, and how much of it is there."""
    words, found = caller.words, link["way_back"]
    if link["phase"] == "primary":
        return widgets.quiet(words("dual_links.at_home"))
    half = found["half_open_left_seconds"]
    dwell = remaining(caller, found["dwell_left_seconds"], found["dwell_seconds"])
    hold = remaining(caller, half, found["hold_seconds"])
    good = words("dual_links.good_of", have=found["good_in_a_row"], needs=found["good_needed"])
    return widgets.facts(
        [
            (words("dual_links.dwell"), dwell),
            (words("dual_links.good"), good),
            (words("dual_links.half_open"), hold),
            (words("dual_links.probes"), probes(caller, found["primary_probes"])),
        ]
    )


def remaining(caller: Caller, left: float | None, whole: float) -> str:
    """How much of a wait is left; None: it has not begun."""
    words = caller.words
    key = "not_begun" if left is None else "left" if left > 0 else "over"
    return words(f"dual_links.{key}", left=words.seconds(left), whole=words.seconds(whole))


def probes(caller: Caller, found: Sequence[bool | None]) -> Any:
    """Newest last; a mark and its word, so that colour is not needed."""
    words = caller.words
    names = {True: "good", False: "bad", None: "unknown"}
    marks = {True: "✓", False: "✕", None: "?"}
    if not found:
        return words("link.unknown")
    said = {one: words(f"dual_links.probe.{name}") for one, name in names.items()}
    return html.Span([html.Span(marks[one], className="wk-probe", title=said[one]) for one in found])


def switches(caller: Caller, rows: Sequence[Mapping[str, Any]], empty: str) -> Any:
    if not rows:
        return widgets.empty(caller, empty)
    words = caller.words
    head = [words(f"dual_links.{name}") for name in ("at", "to", "state", "why", "rule")]
    return widgets.table(
        head,
        [
            [
                words.moment(row["at"]),
                html.Span(row["to"], className="wk-strong"),
                widgets.state(caller, row["state"]),
                words.why(row["reason"]),
                html.Div([html.Div(row["rule"]), widgets.quiet(row["action"])]),
            ]
            for row in rows
        ],
    )
