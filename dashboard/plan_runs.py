"""Runs of contingency plans as the page shows them: the clock against its target, and every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import html

from watchkeeper.wording import in_language

from . import widgets
from .context import Caller
from .permissions import Permission

#: What a person may say of a step of each state.
WORDS: Mapping[str, Sequence[str]] = {
    "active": ("done", "failed", "skip"),
    "blocked": ("done", "failed", "skip", "retry"),
}
COLOURS = {
    "running": "yellow", "recovering": "orange", "completed": "teal", "aborted": "gray", "active": "yellow",
    "blocked": "red", "done": "teal", "failed": "red", "timed_out": "orange",
}  # fmt: skip
#: States of an action that is still under way are decided there, not here.
ENDED = ("", "succeeded", "cleared", "suppressed", "rejected", "expired", "aborted", "rolled_back", "escalated",
         "dry_run", "suggested")  # fmt: skip


def titled(caller: Caller, thing: Mapping[str, Any]) -> str:
    """A plan's or step's title in the reader's language, else its name."""
    return in_language(thing, "title", caller.words.language) or str(thing.get("name") or thing.get("plan", ""))


def state(caller: Caller, word: str) -> Any:
    return widgets.badge(caller.words.word("plan_state", word), COLOURS.get(word, "gray"))


def clock(caller: Caller, run: Mapping[str, Any]) -> Any:
    """How much of the target is gone."""
    words, found = caller.words, run["clock"]
    text = words(
        "plans.clock_value",
        spent=words.seconds(round(found["elapsed_seconds"])),
        target=words.seconds(found["target_seconds"]),
    )
    word = "late" if found["late"] else "runs" if found["running"] else "stopped"
    colour = {"late": "red", "runs": "yellow", "stopped": "teal"}[word]
    return widgets.row(widgets.badge(words(f"plans.clock_{word}"), colour, "filled"), html.Span(text))


def card(caller: Caller, run: Mapping[str, Any], vendors: Mapping[str, Mapping[str, Any]]) -> Any:
    """A run under way."""
    words = caller.words
    incident = run["incident_id"]
    link = html.A(incident, href=f"/incidents/{quote(incident, safe='')}") if incident else words("plans.no_incident")
    return widgets.card(
        widgets.row(clock(caller, run), state(caller, run["state"])),
        widgets.facts(
            [
                (words("plans.incident"), link),
                (words("plans.triggered"), words.moment(run["clock_at"])),
                (words("plans.due"), words.moment(run["due_at"])),
                (words("plans.recovered"), words.moment(run["recovered_at"])),
                (words("plans.by"), f"{run['started_by']}: {words.why(run['reason'])}"),
            ]
        ),
        steps(caller, run["steps"]),
        *_now(caller, run, vendors),
        title=f"{run['id']} · {titled(caller, run)}",
        aside=widgets.badge(words("plans.drill_mark"), "blue") if run["drill"] else pack(caller, run),
    )


def pack(caller: Caller, run: Mapping[str, Any]) -> Any:
    href = f"/plan-packs/{quote(run['id'], safe='')}.zip"
    return html.A(caller.words("plans.pack"), href=href, className="wk-file")


def steps(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words(f"plans.{name}") for name in ("step", "state", "who", "limit", "ended", "note")]
    return widgets.table(head, [_row(caller, row) for row in rows])


def _row(caller: Caller, row: Mapping[str, Any]) -> Sequence[Any]:
    words = caller.words
    action = row["action_id"]
    doing = f"{words('plans.kind_rule')}: {row['rule']}" if row["rule"] else words.word("plan_kind", row["kind"])
    name = html.Div([html.Div(titled(caller, row)), html.Div(doing, className="wk-line")])
    linked = html.A(f"{action} {words.word('state', row['action_state'])}", href=f"/actions/{quote(action, safe='')}")
    marks = [state(caller, row["state"])]
    if row["overdue_at"] and row["state"] in WORDS:
        marks.append(widgets.badge(words("plans.overdue"), "red", "filled"))
    limit = "" if row["limit_seconds"] is None else words.seconds(row["limit_seconds"])
    ended = words.moment(row["ended_at"]) if row["ended_at"] else ""
    note = [html.Div(words.why(row["note"])), *([linked] if action else [])]
    return [name, widgets.row(*marks), row["by"] or row["owner"], limit, ended, html.Div(note)]


def _now(caller: Caller, run: Mapping[str, Any], vendors: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """What to do now, and whom to call."""
    words = caller.words
    row = next((step for step in run["steps"] if step["name"] == run["current"]), None)
    if row is None:
        return []
    text = in_language(row, "text", words.language)
    said = [widgets.notice(text, "blue", title=words("plans.now", step=titled(caller, row)))] if text else []
    vendor = vendors.get(row["vendor"])
    return [*said, *([vendor_card(caller, vendor)] if vendor else [])]


def vendor_card(caller: Caller, vendor: Mapping[str, Any]) -> Any:
    names = ("contact", "phone", "email", "chat", "portal", "hours", "contract", "note")
    pairs = [(caller.words(f"plans.vendor_{name}"), str(vendor[name])) for name in names if vendor[name]]
    return html.Div(
        [html.Div(vendor["title"] or vendor["name"], className="wk-strong"), widgets.facts(pairs)],
        className="wk-vendor",
    )


def buttons(caller: Caller, run: Mapping[str, Any]) -> Any:
    """What may be said of the step that is being taken."""
    words = caller.words
    row = next((step for step in run["steps"] if step["name"] == run["current"]), None)
    may = row is not None and (row["state"] == "blocked" or row["action_state"] in ENDED)
    found = [
        _button(caller, f"plans.{word}", {"type": "plan-step", "run": run["id"], "step": run["current"], "word": word})
        for word in (WORDS.get(row["state"], ()) if row is not None and may else ())
    ]
    found.append(_button(caller, "plans.abort", {"type": "plan-abort", "run": run["id"]}, variant="default"))
    named = titled(caller, row) if row is not None else words("plans.steps_over")
    return html.Div([html.Div(f"{run['id']} · {named}", className="wk-strong"), dmc.Group(found, mt="xs")])


def _button(caller: Caller, key: str, name: Mapping[str, str], *, variant: str = "light") -> Any:
    allowed = caller.may(Permission.ACKNOWLEDGE)
    return dmc.Button(caller.words(key), id=dict(name), size="xs", variant=variant, disabled=not allowed)
