"""``watchkeeper scored``: what is scored, by which detector, as what kind of quantity, and what is still learned."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def scored(
    text: Annotated[str, typer.Argument(help="Part of a name or label; without it all.")] = "",
    limit: Annotated[int, typer.Option(help="Series shown at most.")] = 100,
    data: Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")] = None,
) -> None:
    """Every scored series: its score, detector, kind of quantity, and whether it is still learned; the oddest first."""
    from watchkeeper.app.client import Client

    found = Client.of(data).get("/api/wk/scored", text=text, limit=str(limit))
    sys.stdout.write(f"{found['total']} series, {found['learning']} learning; {_counts(found['detectors'])}\n")
    sys.stdout.writelines(f"{line_of(row)}\n" for row in found["series"])


def line_of(row: dict[str, Any]) -> str:
    score = "   -" if row["score"] is None else f"{row['score']:.2f}"
    learning = "  learning" if row["learning"] else ""
    return f"{score}  {row['detector']}  {row['nature']}  {row['series']}{learning}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
