"""The engine itself: version, data, channels, ledgers, and how its parts are kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Input, Output, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "about"


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div([widgets.page_head(caller, KEY), widgets.waiting("about-body"), widgets.ticking(caller, KEY)])


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("about-body", "children"), Input("about-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return body(caller, await caller.get("/api/wk/status"))


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    engine = widgets.facts(
        [
            (words("about.version"), data["version"]),
            (words("about.started"), words.moment(data["started_at"])),
            (words("about.environment"), data["environment"] or words("about.not_named")),
            (words("about.data_dir"), data["data_dir"]),
            (words("about.loop_lag"), words.seconds(data["loop_lag_seconds"])),
            (words("about.separation"), words.word("separation", data["separation"])),
            (words("settings.time_zone"), data["time_zone"]),
            (words("settings.language"), words.word("language", data["language"])),
        ]
    )
    return html.Div(
        [
            widgets.as_of(caller, caller.now()),
            widgets.grid_of(
                [
                    widgets.card(engine, title=words("about.engine")),
                    widgets.card(channels(caller, data["channels"]), title=words("about.channels")),
                ],
                smallest=420,
            ),
            widgets.card(ledgers(caller, data["ledgers"]), title=words("about.ledgers")),
        ],
        className="wk-stack",
    )


def channels(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "about.channels")
    words = caller.words
    head = [words(f"about.channel.{name}") for name in ("name", "state", "queued", "last_ok", "last_error")]
    return widgets.table(
        head,
        [
            [
                html.Div([html.Div(row["name"], className="wk-strong"), html.Div(row["kind"], className="wk-line")]),
                widgets.state(caller, row["state"]),
                words.number(row["queued"], 0),
                words.moment(row["last_ok_at"]),
                row["last_error"] or "",
            ]
            for row in rows
        ],
        numeric=(2,),
    )


def ledgers(caller: Caller, books: Mapping[str, Any]) -> Any:
    """Each book as counts; a nested count shows its reason."""
    words = caller.words

    def lines(book: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for name, value in book.items():
            named = prefix + " · ".join(_entry(caller, part) for part in name.split("/"))
            if isinstance(value, Mapping):
                found += lines(value, f"{named} · ")
            else:
                found.append((named, words.number(value, 0) if isinstance(value, int | float) else str(value)))
        return found

    cards = [
        html.Div(
            [
                html.Div(words.word("ledger", name), className="wk-strong"),
                widgets.facts(lines(book)) if book else widgets.quiet(words("about.nothing_yet")),
            ]
        )
        for name, book in books.items()
    ]
    return widgets.grid_of(cards, smallest=250)


def _entry(caller: Caller, name: str) -> str:
    """What is counted: a kind of thing, its state, an entry of a book; the name of a channel or reason stays."""
    known = (caller.words.word(group, name) for group in ("ledger.entry", "kind", "state", "rejected"))
    return next((text for text in known if text != name), name)


PAGE = Page(key=KEY, path="/about", area="system", layout=layout, register=register)
