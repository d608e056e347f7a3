"""``watchkeeper rootcause``: where an incident began, from two tables of metrics and a call graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from analytics.deviation import Deviation
    from analytics.rootcause import Candidate, Edge


def rootcause(
    normal: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV of normal times.")],
    incident: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV of the incident, same columns.")],
    graph: Annotated[Path | None, typer.Option(help="CSV caller,called: who calls whom.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Candidates at most.")] = 5,
) -> None:
    """Rank nodes by how likely an incident began there.

    The tables have a row a moment and a column a metric, named node|metric such as `checkout|latency`; other columns
    are passed over.
    """
    from analytics.rootcause import candidates, deviations_of

    found = candidates(deviations_of(_table(normal), _table(incident)), _edges(graph) if graph else [])
    for place, one in enumerate(found[:limit], 1):
        sys.stdout.write("\n".join(lines_of(place, one)) + "\n")
    if not found:
        sys.stderr.write("watchkeeper: no column of the incident has two known values\n")
        raise typer.Exit(1)


def lines_of(place: int, one: Candidate) -> list[str]:
    """A candidate and its evidence, to read."""
    why = f", {one.explained:.0%} explained by {one.explained_by}" if one.explained_by else ""
    why += f"; suffers too: {', '.join(one.suffering)}" if one.suffering else ""
    return [f"{place}. {one.node}  {one.score:.2f}{why}", *(f"     {_told(each)}" for each in one.evidence)]


def _told(one: Deviation) -> str:
    way = "rose" if one.rising else "fell"
    return f"{one.metric} {way} from {one.before:.4g} to {one.during:.4g} ({one.strength:.2f})"


def _table(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(file)
    except (ValueError, pd.errors.ParserError) as error:
        raise typer.BadParameter(f"{file}: {error}") from None
    table = table[[name for name in table.columns if "|" in str(name)]]
    if table.empty:
        raise typer.BadParameter(f"{file}: no rows, or no column named node|metric")
    return pd.DataFrame({name: pd.to_numeric(table[name], errors="coerce") for name in table.columns})


def _edges(file: Path) -> list[Edge]:
    import csv

    with file.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    if rows and not {"caller", "called"} <= set(rows[0]):
        raise typer.BadParameter(f"{file}: the columns are caller,called")
    return [(row["caller"], row["called"]) for row in rows]
