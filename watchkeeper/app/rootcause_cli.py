"""``watchkeeper rootcause``: where an incident began, of the running engine, or from two tables and a call graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    import pandas as pd

    from analytics.deviation import Deviation
    from analytics.rootcause import Candidate, Edge


def rootcause(
    subject: Annotated[str, typer.Argument(metavar="INCIDENT|NORMAL.csv", help="inc-7, or a table of normal times.")],
    incident: Annotated[
        Path | None,
        typer.Argument(metavar="[INCIDENT.csv]", exists=True, dir_okay=False, help="Table of the incident."),
    ] = None,
    graph: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV caller,called: who calls whom.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Candidates at most.")] = 5,
    data: Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")] = None,
) -> None:
    """Rank where an incident began: services of the running engine, or nodes of two tables.

    The tables are CSV with a row a moment and a column a metric, named node|metric such as `checkout|latency`; other
    columns are passed over.
    """
    lines = _of_engine(subject, limit, data) if incident is None else _of_tables(Path(subject), incident, graph, limit)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if not lines:
        sys.stderr.write("watchkeeper: nothing that is known deviates\n")
        raise typer.Exit(1)


def _of_engine(subject: str, limit: int, data: Path | None) -> list[str]:
    from watchkeeper.app.client import Client
    from watchkeeper.app.explain import WRITTEN, words_of
    from watchkeeper.app.explain_lines import cause_line

    found = Client.of(data).get(f"/api/wk/incidents/{subject}/causes")["causes"]
    words = words_of(WRITTEN, ZoneInfo("UTC"))
    return [cause_line(words, place, one) for place, one in enumerate(found[:limit], 1)]


def _of_tables(normal: Path, incident: Path, graph: Path | None, limit: int) -> list[str]:
    from analytics.rootcause import candidates, deviations_of

    if not normal.is_file():
        raise typer.BadParameter(f"{normal} is no file", param_hint="NORMAL.csv")
    found = candidates(deviations_of(_table(normal), _table(incident)), _edges(graph) if graph else [])
    return [line for place, one in enumerate(found[:limit], 1) for line in lines_of(place, one)]


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
