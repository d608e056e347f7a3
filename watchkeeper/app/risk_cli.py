"""``watchkeeper risk``: which services are likely to fail within the hour, why, and how good such predictions were."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

#: Signs of a service that are printed.
SHOWN = 8


def risk(
    service: Annotated[str, typer.Argument(help="One service; without it all.")] = "",
    data: Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")] = None,
) -> None:
    """The risk of every service to have an incident within the hour, its signs, and the record of predictions."""
    from watchkeeper.app.client import Client

    rows = [row for row in Client.of(data).get("/api/wk/risk")["services"] if service in ("", row["service"])]
    sys.stdout.writelines(f"{line}\n" for row in rows for line in lines_of(row))
    if not rows:
        sys.stderr.write("watchkeeper: no such service, or nothing is known of any yet\n")
        raise typer.Exit(1)


def lines_of(row: Mapping[str, Any]) -> Iterator[str]:
    """A service, its signs and what predictions of it came to."""
    yield f"{row['service']}  {_risk(row)}"
    for sign in row["signs"][:SHOWN]:
        seen = f"an incident came after {sign['before']} of its {sign['times']} hours" if sign["times"] else "new"
        yield f"     {sign['kind']} {sign['what']} {sign['how']}".rstrip() + f" ({sign['weight']:+.2f}; {seen})"
    if len(row["signs"]) > SHOWN:
        yield f"     and {len(row['signs']) - SHOWN} more signs"
    worth = row["worth"]
    if worth["scored"]:
        yield (
            f"     predictions: {worth['scored']} scored, Brier {worth['brier']:.4f}, skill {_number(worth['skill'])}, "
            f"hits {worth['hits']} of {worth['hits'] + worth['misses']}, lead {_number(worth['lead_seconds'])} s"
        )


def _risk(row: Mapping[str, Any]) -> str:
    if row["state"] == "open":
        return "has an open incident"
    if row["risk"] is not None:
        return f"{row['risk']:.1%} (usually {row['base']:.1%})"
    return f"learning: {row['incidents_needed']} incidents and {row['slots_needed']} slots of ten minutes to go"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
