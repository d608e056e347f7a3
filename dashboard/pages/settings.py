"""One's own language and time zone; for administrators the people who may sign in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html, no_update

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.i18n import LANGUAGES
from dashboard.page import Page, Request
from dashboard.permissions import ROLES, Permission
from watchkeeper.clock import time_zones

KEY = "settings"


def layout(caller: Caller, _request: Request) -> Any:
    words = caller.words
    own = [
        dmc.Select(
            id="settings-language", label=words("settings.language"), value=words.language, allowDeselect=False,
            data=[{"value": code, "label": words(f"language.{code}")} for code in LANGUAGES],
        ),
        dmc.Select(
            id="settings-zone", label=words("settings.time_zone"), value=words.zone.key, searchable=True,
            data=sorted(time_zones()), allowDeselect=False, limit=50,
        ),
        dmc.Button(words("settings.save"), id="settings-save", mt="md"),
        html.Div(id="settings-notice", className="wk-below"),
        widgets.quiet(words("settings.theme_hint")),
    ]  # fmt: skip
    cards = [widgets.card(*own, title=words("settings.own"))]
    if caller.may(Permission.MANAGE_USERS):
        cards.append(_people(caller))
    return html.Div(
        [widgets.page_head(caller, KEY), widgets.grid_of(cards, smallest=420)],
        className="wk-stack",
    )


def _people(caller: Caller) -> Any:
    words = caller.words
    add = [
        dmc.TextInput(id="settings-name", label=words("login.name")),
        dmc.PasswordInput(
            id="settings-password", label=words("login.password"), description=words("setup.password_hint")
        ),
        dmc.Select(
            id="settings-role", label=words("settings.role"), value="viewer", allowDeselect=False,
            data=[{"value": role, "label": words(f"role.{role}")} for role in ROLES],
        ),
        dmc.Button(words("settings.add"), id="settings-add", mt="md"),
    ]  # fmt: skip
    return widgets.card(
        html.Div(id="settings-people"),
        html.Div(id="settings-people-notice", className="wk-below"),
        html.Details([html.Summary(words("settings.add_user")), *add], className="wk-plan"),
        title=words("settings.people"),
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("settings-notice", "children"),
        Output("language-done", "children", allow_duplicate=True),
        Input("settings-save", "n_clicks"),
        State("settings-language", "value"),
        State("settings-zone", "value"),
        prevent_initial_call=True,
    )
    async def save(caller: Caller, _clicks: int, language: str, zone: str) -> Any:
        if language not in LANGUAGES or zone not in time_zones():
            return [widgets.notice(caller.words("settings.invalid"), "orange"), no_update]
        await caller.change_own(language=language, time_zone=zone)
        return [widgets.done(caller, "settings.saved"), f"{language} {zone}"]

    _register_people(callbacks)


def _register_people(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.MANAGE_USERS, Output("settings-people", "children"), Input("settings-people-notice", "children")
    )
    async def people(caller: Caller, _notice: Any) -> Any:
        return users(caller, (await caller.get("/api/wk/users"))["users"])

    @callbacks.callback_for(
        Permission.MANAGE_USERS,
        Output("settings-people-notice", "children", allow_duplicate=True),
        Output("settings-password", "value"),
        Input("settings-add", "n_clicks"),
        State("settings-name", "value"),
        State("settings-password", "value"),
        State("settings-role", "value"),
        prevent_initial_call=True,
    )
    async def add(caller: Caller, _clicks: int, name: str | None, password: str | None, role: str) -> Any:
        words = caller.words
        body = {
            "name": (name or "").strip(),
            "password": password or "",
            "role": role,
            "language": words.language,
            "time_zone": words.zone.key,
        }
        await caller.send("POST", "/api/wk/users", body)
        return [widgets.done(caller, "settings.added"), ""]

    @callbacks.callback_for(
        Permission.MANAGE_USERS,
        Output("settings-people-notice", "children", allow_duplicate=True),
        Input({"type": "settings-user", "name": ALL, "disable": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def turn(caller: Caller, clicks: list[Any]) -> Any:
        pressed = ctx.triggered_id
        if not any(clicks) or not isinstance(pressed, Mapping):
            return no_update
        disable = pressed["disable"] == "yes"
        await caller.send("PATCH", f"/api/wk/users/{quote(pressed['name'], safe='')}", {"disabled": disable})
        return widgets.done(caller, "settings.changed")


def users(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words("login.name"), words("settings.role"), words("incident.state"), ""]
    return widgets.table(
        head,
        [
            [
                row["name"],
                words.word("role", row["role"]),
                widgets.badge(words(f"settings.{_state(row)}"), "gray" if row.get("disabled") else "teal"),
                dmc.Button(
                    words("settings.enable" if row.get("disabled") else "settings.disable"),
                    size="compact-xs",
                    variant="default",
                    disabled=row["name"] == caller.principal.name,
                    id={
                        "type": "settings-user",
                        "name": row["name"],
                        "disable": "no" if row.get("disabled") else "yes",
                    },
                ),
            ]
            for row in rows
        ],
    )


def _state(row: Mapping[str, Any]) -> str:
    return "disabled" if row.get("disabled") else "enabled"


PAGE = Page(key=KEY, path="/settings", area="system", layout=layout, register=register)
