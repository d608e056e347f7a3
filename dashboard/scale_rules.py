"""The rules of one pool: what each looks at, how many it wants, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller
from dashboard.link_history import remaining


def table(caller: Caller, pool: Mapping[str, Any], *, frozen: bool) -> Any:
    words = caller.words
    names = ("rule", "wanted", "inputs", "limits", "cost", "waits", "now")
    return widgets.table(
        [words(f"scaling.{name}") for name in names],
        [
            [
                name(caller, rule),
                html.Div(words.number(rule["wanted"], 0), className="wk-strong"),
                inputs(caller, rule),
                limits(caller, rule),
                cost(caller, rule),
                waits(caller, rule),
                now(caller, pool, rule, frozen=frozen),
            ]
            for rule in pool["rules"]
        ],
        numeric=(1,),
    )


def name(caller: Caller, rule: Mapping[str, Any]) -> Any:
    words = caller.words
    said = f"{words('scaling.' + rule['direction'])} · {words.word('mode', rule['mode'])}"
    return html.Div([html.Div(rule["rule"], className="wk-strong"), widgets.quiet(said)])


def inputs(caller: Caller, rule: Mapping[str, Any]) -> Any:
    """Load, forecast and schedule: the greatest of them counts."""
    words = caller.words
    lines: list[Any] = [
        words(
            "scaling.load_value",
            load=words.number(rule["load"]),
            per=words.number(rule["per_worker"]),
            needed=words.number(rule["needed"], 0),
        ),
        html.Code(rule["load_query"], className="wk-series"),
    ]
    if rule["forecast_query"]:
        lines.append(words("scaling.forecast_value", load=words.number(rule["expected"])))
    if rule["scheduled"]:
        lines.append(words("scaling.schedule_value", least=rule["scheduled"]))
    return html.Div([html.Div(line, className="wk-line") for line in lines])


def limits(caller: Caller, rule: Mapping[str, Any]) -> Any:
    words = caller.words
    lines = [
        words("scaling.limits_value", least=rule["least"], most=rule["most"]),
        words("scaling.declared_value", min=rule["min"], max=rule["max"]),
        words("scaling.step_value", step=rule["step"], tolerance=words.ratio(rule["tolerance"])),
    ]
    return html.Div([html.Div(line, className="wk-line") for line in lines])


def cost(caller: Caller, rule: Mapping[str, Any]) -> Any:
    words = caller.words
    if rule["ceiling"] is None:
        return words("scaling.no_cost")
    money = {"cost": words.number(rule["cost"]), "ceiling": words.number(rule["ceiling"])}
    return words("scaling.cost_value", **money)


def waits(caller: Caller, rule: Mapping[str, Any]) -> Any:
    words = caller.words
    cooldown = remaining(caller, rule["cooldown_left_seconds"], rule["cooldown_seconds"])
    lines = [words("scaling.cooldown_value", left=cooldown)]
    if rule["stabilisation_seconds"] is not None:
        calm = remaining(caller, rule["idle_left_seconds"], rule["stabilisation_seconds"])
        lines.append(words("scaling.idle_value", left=calm))
    return html.Div([html.Div(line, className="wk-line") for line in lines])


def now(caller: Caller, pool: Mapping[str, Any], rule: Mapping[str, Any], *, frozen: bool) -> Any:
    """The first thing that keeps the number as it is; else what would change."""
    key, colour, why = state_of(pool, rule, frozen=frozen)
    told = [html.Div(caller.words.why(one), className="wk-line") for one in why]
    return html.Div([widgets.badge(caller.words(f"scaling.state.{key}"), colour), *told])


def state_of(pool: Mapping[str, Any], rule: Mapping[str, Any], *, frozen: bool) -> tuple[str, str, list[str]]:
    """(word, colour, reasons of the engine)."""
    if frozen:
        return "frozen", "red", []
    if rule["unknown"]:
        return "missing", "orange", rule["unknown"]
    if pool["hands_off_seconds"]:
        return "rival", "orange", []
    if rule["wanted"] == pool["running"]:
        held = rule["direction"] == "out" and rule["needed"] > rule["most"]
        return ("at_most", "orange", []) if held else ("enough", "teal", [])
    if rule["guard"]:
        return "guard", "orange", [rule["guard"]]
    calms = rule["stabilisation_seconds"] is not None and rule["idle_left_seconds"] != 0
    if rule["cooldown_left_seconds"] or calms:
        return "waits", "blue", []
    return "changes", "blue", []
