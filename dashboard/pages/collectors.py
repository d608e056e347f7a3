"""Where the samples come from, how late they are, and whether every received sample is accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dash import Input, Output, html

from dashboard import widgets
from dashboard.agents import agents
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.list_view import Column
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from watchkeeper.clock import from_ms

KEY = "collectors"


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            html.Div(id="collectors-body", className="wk-body"),
            widgets.data_grid(caller, "collectors-grid", columns(caller)),
            html.Div(id="collectors-agents"),
            html.Div(id="collectors-ledger"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


#: The kind of the source that reads the engine itself: what it reads has a name, no address.
OWN = "own"
COLUMNS = ("state", "name", "kind", "target", "lag", "interval", "series", "stored", "rejected", "error")
NUMBERS = ("lag", "interval", "series", "stored")
#: What a reader wants to know of the store, in this order; the book beside it has what came in and what was refused.
STORE = (
    "series", "targets", "oldest_ms", "newest_ms", "bytes", "blocks", "block_bytes", "tier_bytes", "head_bytes",
    "samples_in_head", "log_bytes", "fsyncs", "fsync_failures", "block_failures", "damaged_frames", "torn_tails",
    "disk_full", "disk_full_times",
)  # fmt: skip
#: Of the store's own figures those that stand in the book, and the numbering of its log.
BOOKED = ("received", "stored", "deduplicated", "rejected", "sequence", "durable_sequence")


def columns(caller: Caller) -> list[Column]:
    return [
        {
            "field": field,
            "name": caller.words(f"collectors.{field}"),
            "right": field in NUMBERS,
            "tag": "wk-state" if field == "state" else "",
        }
        for field in COLUMNS
    ]


def row(caller: Caller, one: Mapping[str, Any]) -> dict[str, Any]:
    words = caller.words
    return {
        "id": one["name"],
        "state": words.word("state", one["condition"]),
        "state_key": one["condition"],
        "name": one["name"],
        "kind": one["kind"],
        "target": words("collectors.own") if one["kind"] == OWN else one["target"],
        "lag": words.seconds(one["lag_seconds"]),
        "lag_sort": one["lag_seconds"],
        "interval": words.seconds(one["interval_seconds"]),
        "interval_sort": one["interval_seconds"],
        "series": words.number(one["series"], 0),
        "series_sort": one["series"],
        "stored": words.number(one["stored"], 0),
        "stored_sort": one["stored"],
        "rejected": ", ".join(
            f"{words.word('rejected', reason)} {count}" for reason, count in sorted(one["rejected"].items()) if count
        ),
        "error": "; ".join(words.why(note) for note in one["notes"]),
    }


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("collectors-body", "children"),
        Output("collectors-grid", "rowData"),
        Output("collectors-agents", "children"),
        Output("collectors-ledger", "children"),
        Input("collectors-tick", "n_intervals"),
        blank=([], [], []),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        data, others = await asyncio.gather(caller.get("/api/wk/collectors"), caller.get("/api/wk/agents"))
        shown = [widgets.as_of(caller, caller.now())]
        if not data["collectors"]:
            shown.append(widgets.empty(caller, KEY))
        first = sorted(
            data["collectors"], key=lambda one: one["condition"] == "up"
        )  # what is not well, then the others
        rows = [row(caller, one) for one in first]
        return [shown, rows, agents(caller, others["agents"]), ledger(caller, data)]


def ledger(caller: Caller, data: Mapping[str, Any]) -> Any:
    """received = stored + deduplicated + rejected + in flight; a difference is said aloud."""
    words, book = caller.words, data["ledger"]
    rejected = sum(book["rejected"].values())
    missing = book["received"] - book["stored"] - book["deduplicated"] - rejected - book["in_flight"]
    balance = widgets.badge(words("collectors.balanced"), "teal")
    if missing:
        balance = widgets.badge(words("collectors.unbalanced", count=words.number(missing, 0)), "red", "filled")
    counts = [
        (words(f"collectors.{name}"), words.number(book[name], 0))
        for name in ("received", "stored", "deduplicated", "in_flight")
    ]
    reasons = [
        (words("collectors.rejected_for", reason=words.word("rejected", reason)), words.number(count, 0))
        for reason, count in sorted(book["rejected"].items())
    ]
    known = [name for name in STORE if name in data["store"]]
    others = sorted(name for name in data["store"] if name not in STORE and not name.startswith(BOOKED))
    store = [(words.word("store", name), _stored(caller, name, data["store"][name])) for name in (*known, *others)]
    return widgets.grid_of(
        [
            widgets.card(widgets.facts([*counts, *reasons]), title=words("collectors.ledger"), aside=balance),
            widgets.card(widgets.facts(store), title=words("collectors.store")),
        ],
        smallest=420,
    )


def _stored(caller: Caller, name: str, value: Any) -> str:
    words = caller.words
    if not isinstance(value, int | float):
        return str(value)
    if name == "disk_full":
        return words("yes" if value else "no")
    if name.endswith("bytes"):
        return words.bytes(value)
    if name.endswith("_ms"):
        return words.moment(from_ms(value)) if value > 0 else words.number(None)
    return words.number(value, 0)


PAGE = Page(key=KEY, path="/collectors", area="system", layout=layout, register=register)
