"""The frame around every page: header, navigation, theme, language, sign out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html, no_update

from .callbacks import Callbacks
from .context import Caller, current
from .i18n import LANGUAGES
from .page import AREAS, Page, find
from .permissions import Permission
from .static_tree import Node, Static, lighten
from .widgets import attributes, empty

NAVBAR_WIDTH = 216
#: Mantine's shades of the dark theme, from text to the deepest ground, in the slate of the pages (assets/style.css).
DARK = (
    "#d5dbe6", "#b3bdcc", "#94a3b8", "#5d6c84", "#3b4a63", "#2a3850", "#1b2740", "#131c2e", "#0f1727", "#0b1220",
)  # fmt: skip


def layout(pages: Sequence[Page]) -> Any:
    """The whole document for the current caller."""
    caller = current()
    shell = dmc.AppShell(
        [
            dmc.AppShellHeader(_header(caller), className="wk-header"),
            dmc.AppShellNavbar(_navigation(caller, pages), p="sm", className="wk-navbar"),
            dmc.AppShellMain(
                [
                    html.Div(caller.words("frozen"), id="wk-frozen", role="alert"),
                    html.Div(lighten(_page(caller, pages)), id="page", className="wk-page"),
                ]
            ),
        ],
        id="shell",
        header={"height": 56},
        navbar={"width": NAVBAR_WIDTH, "breakpoint": "sm", "collapsed": {"mobile": True}},
        padding="md",
    )
    return dmc.MantineProvider(
        [_location(caller), html.Div(id="language-done", hidden=True), shell],
        id="theme",
        forceColorScheme=caller.theme,
        theme={
            "primaryColor": "blue",
            "colors": {"dark": DARK},
            "defaultRadius": "md",
            "fontFamily": 'Inter, system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
        },
    )


def draws_charts(pages: Sequence[Page]) -> bool:
    """Whether the document that is being loaded draws with Plotly."""
    path, _, query = current().address.partition("?")
    found = find(pages, path, query)
    return found is not None and found[0].charts


def _location(caller: Caller) -> Any:
    """Where the address is known, it is given, so that it does not count as changed when the page has loaded."""
    if not caller.address:
        return dcc.Location(id="url", refresh="callback-nav")
    path, mark, query = caller.address.partition("?")
    return dcc.Location(id="url", refresh="callback-nav", pathname=path, search=mark + query)


def _page(caller: Caller, pages: Sequence[Page]) -> Any:
    """The page of the address: with the frame, so that the browser need not ask again."""
    path, _, query = caller.address.partition("?")
    return _layout_of(caller, pages, path, query) if path else None


def _layout_of(caller: Caller, pages: Sequence[Page], path: str | None, search: str | None) -> Any:
    found = find(pages, path, search)
    if found is None:
        return empty(caller, "not_found")
    page, request = found
    return page.layout(caller, request)


def _header(caller: Caller) -> Any:
    words = caller.words
    return html.Div(
        [
            dmc.Group(
                [
                    dmc.Burger(
                        id="burger", opened=False, hiddenFrom="sm", size="sm", **attributes(aria_label=words("menu"))
                    ),
                    html.Img(src="/assets/logo.svg", width=28, height=28, alt=""),
                    dmc.Text(words("product"), fw=700, size="lg", className="wk-brand"),
                ],
                gap="sm",
                wrap="nowrap",
            ),
            dmc.Group(
                [
                    dmc.SegmentedControl(
                        id="language",
                        value=words.language,
                        data=[{"value": code, "label": words(f"language.short.{code}")} for code in LANGUAGES],
                        size="xs",
                    ),
                    html.Button(
                        id="theme-button",
                        className=f"wk-icon-button wk-icon-{'sun' if caller.theme == 'dark' else 'moon'}",
                        title=words("theme.toggle"),
                        **attributes(aria_label=words("theme.toggle")),
                    ),
                    _account(caller),
                ],
                gap="sm",
                wrap="nowrap",
            ),
        ],
        className="wk-header-row",
    )


def _account(caller: Caller) -> Any:
    words, principal = caller.words, caller.principal
    sign_out = html.Form(
        [
            dcc.Input(type="hidden", name="csrf", value=principal.who.csrf),
            html.Button(words("logout"), type="submit", className="wk-link-button", id="logout"),
        ],
        action="/logout",
        method="POST",
    )
    who = html.Div(
        [
            dmc.Text(principal.name, size="sm", fw=600, truncate=True, maw=140),
            dmc.Text(words.word("role", principal.role), size="xs", c="dimmed"),
        ],
        className="wk-who",
    )
    return dmc.Group([who, sign_out], gap="sm", wrap="nowrap")


def _navigation(caller: Caller, pages: Sequence[Page]) -> Any:
    """One plain tree; assets/static.js marks the link of the page that is open."""
    parts: list[Node] = []
    for area in AREAS:
        parts.append(["div", {"className": "wk-area"}, [caller.words(f"area.{area}")]])
        parts += [_link(caller, page) for page in pages if page.area == area]
    return Static(["nav", {}, parts])


def _link(caller: Caller, page: Page) -> Node:
    attributes = {"id": f"nav-{page.key}", "href": page.path, "className": "wk-nav", "data-page": ""}
    if page.below:
        attributes["data-below"] = ""
    icon = ["span", {"className": f"wk-nav-icon wk-nav-{page.key}"}, []]
    return ["a", attributes, [icon, caller.words(f"{page.key}.title")]]


def register(callbacks: Callbacks, pages: Sequence[Page]) -> None:
    """The callbacks of the frame itself."""

    @callbacks.callback_for(
        Permission.READ, Output("page", "children"), Input("url", "pathname"), State("url", "search"),
        prevent_initial_call=True,
    )  # fmt: skip
    async def show(caller: Caller, path: str | None, search: str | None) -> Any:
        return _layout_of(caller, pages, path, search)

    @callbacks.callback_for(
        Permission.READ, Output("language-done", "children"), Input("language", "value"), prevent_initial_call=True
    )
    async def speak(caller: Caller, language: str) -> Any:
        if language not in LANGUAGES or language == caller.words.language:
            return no_update
        await caller.change_own(language=language)
        return language

    callbacks.in_browser(
        "reload", Output("language-done", "title"), Input("language-done", "children"), prevent_initial_call=True
    )
    callbacks.in_browser(
        "toggleTheme", Output("theme-button", "title"), Input("theme-button", "n_clicks"), prevent_initial_call=True
    )
    callbacks.in_browser("navbar", Output("shell", "navbar"), Input("burger", "opened"), State("shell", "navbar"))
    callbacks.in_browser("closed", Output("burger", "opened"), Input("url", "pathname"), prevent_initial_call=True)
