"""``watchkeeper risk``: which services are likely to fail within the hour, why, and how good such predictions were."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from watchkeeper.reasons import span

#: Signs of a service, and advice, that are printed.
SHOWN = 8
#: Length of a slot, in which each service is looked at once.
SLOT_SECONDS = 600


def risk(
    service: Annotated[str, typer.Argument(help="One service; without it all.")] = "",
    data: Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")] = None,
) -> None:
    """The risk of every service to have an incident within the hour, its signs, and the record of predictions."""
    from watchkeeper.app.client import Client

    found = Client.of(data).get("/api/wk/risk")
    rows = [row for row in found["services"] if service in ("", row["service"])]
    sys.stdout.writelines(f"{line}\n" for row in rows for line in lines_of(row))
    advice = [one for one in found["advice"] if service in ("", one["service"])]
    sys.stdout.writelines(f"{line}\n" for line in advice_of(advice))
    if not rows:
        sys.stderr.write("watchkeeper: no such service, or nothing is known of any yet\n")
        raise typer.Exit(1)


def lines_of(row: Mapping[str, Any]) -> Iterator[str]:
    """A service, its signs and what predictions of it came to."""
    yield f"{row['service']}  {_risk(row)}"
    for sign in row["signs"][:SHOWN]:
        yield f"     {_said(sign)} ({sign['weight']:+.2f}; {_seen(sign)})"
    if len(row["signs"]) > SHOWN:
        yield f"     and {len(row['signs']) - SHOWN} more signs"
    worth = row["worth"]
    if worth["scored"]:
        yield (
            f"     predictions: {worth['scored']} scored, Brier {worth['brier']:.4f}, skill {_number(worth['skill'])}, "
            f"foretold {worth['hits']} of {worth['hits'] + worth['misses']}, lead time {_time(worth['lead_seconds'])}"
        )


def advice_of(advice: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What to look at first, with the evidence."""
    if advice:
        yield "What to look at first:"
    for place, one in enumerate(advice[:SHOWN], start=1):
        yield f"{place:4d} {one['service']}: {_said(one)} ({_seen(one)})"


def _risk(row: Mapping[str, Any]) -> str:
    if row["state"] == "open":
        return "has an open incident"
    if row["risk"] is not None:
        return f"{row['risk']:.1%} (usually {row['base']:.1%})"
    some, needed = row["incidents"], row["incidents"] + row["incidents_needed"]
    parts = [f"had {some} of the {needed} incidents it takes"] if row["incidents_needed"] else []
    if row["slots_needed"]:
        parts.append(f"{_time(row['slots_needed'] * SLOT_SECONDS)} more to watch")
    return "learning: " + ", ".join(parts)


def _said(sign: Mapping[str, Any]) -> str:
    return f"{sign['kind']} {sign['what']} {sign['how']}".rstrip()


def _seen(sign: Mapping[str, Any]) -> str:
    if not sign["times"]:
        return "never seen before"
    return f"stood in {sign['times']} hours, {sign['before']} of them before an incident"


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else span(timedelta(seconds=seconds), "en")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
