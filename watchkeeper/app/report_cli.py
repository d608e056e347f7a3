"""``watchkeeper report``: reports made now, as HTML and CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import echo as say

report_app = typer.Typer(help="Reports.", no_args_is_help=True)
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder for the HTML and CSV files.")]
LanguageOption = Annotated[str, typer.Option(help="zh-CN or en.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]


@report_app.command("capacity")
def report_capacity(
    output: OutputOption = Path(),
    language: LanguageOption = "zh-CN",
    data: DataOption = None,
) -> None:
    """Make the capacity report now, as HTML and CSV."""
    _report("capacity", output, language, data)


@report_app.command("business")
def report_business(
    output: OutputOption = Path(),
    language: LanguageOption = "zh-CN",
    data: DataOption = None,
) -> None:
    """Make the business report now: key figures, order funnel and predictions, as HTML and CSV."""
    _report("business", output, language, data)


@report_app.command("sla")
def report_sla(
    output: OutputOption = Path(),
    language: LanguageOption = "zh-CN",
    data: DataOption = None,
) -> None:
    """Make the SLA report now: service levels, error budgets and response clocks, as HTML and CSV."""
    _report("sla", output, language, data)


@report_app.command("cost")
def report_cost(
    output: OutputOption = Path(),
    language: LanguageOption = "zh-CN",
    data: DataOption = None,
) -> None:
    """Make the cost report now: month to date, its end, budgets and what changed, as HTML and CSV."""
    _report("cost", output, language, data)


def _report(kind: str, output: Path, language: str, data: Path | None) -> None:
    from watchkeeper.app.client import Client

    client = Client.of(data)
    report_id = client.post(f"/api/wk/reports/{kind}", {"language": language})["id"]
    output.mkdir(parents=True, exist_ok=True)
    for form in ("html", "csv"):
        file = output / f"{kind}.{form}"
        file.write_bytes(client.raw("GET", f"/api/wk/reports/{report_id}.{form}"))
        say(str(file))
