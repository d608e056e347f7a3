"""``watchkeeper rules``: lint, test, import, backtest, rehearse, promote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import echo as say

from watchkeeper.app.rules_promote_cli import promote

rules_app = typer.Typer(
    help="Alert and remediation rules: lint, test, backtest, import, promote.", no_args_is_help=True
)
DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]


@rules_app.command("lint")
def rules_lint(
    files: list[Path], language: Annotated[str, typer.Option("--language", help="zh-CN or en.")] = "en"
) -> None:
    """Say what is wrong with the meaning of rules; exit code 1 on errors."""
    from watchkeeper.app.rules_cli import lint

    raise typer.Exit(lint(files, say, language))


@rules_app.command("test")
def rules_test(files: list[Path]) -> None:
    """Run unit tests in promtool's file format."""
    from watchkeeper.app.rules_cli import test

    raise typer.Exit(test(files, say))


@rules_app.command("import")
def rules_import(
    files: list[Path],
    to: Annotated[Path, typer.Option(help="Folder of this engine's rules.")] = Path("rules"),
) -> None:
    """Copy Prometheus rule files as they stand, and say what the lint thinks of them."""
    from watchkeeper.app.rules_cli import import_files

    raise typer.Exit(import_files(files, to, say))


@rules_app.command("backtest")
def rules_backtest(
    file: Path,
    rule: Annotated[str, typer.Option(help="Name of the rule; default: every rule of the file.")] = "",
    days: Annotated[float, typer.Option(help="How far back.")] = 7.0,
    data: DataOption = None,
) -> None:
    """Run rules over the stored history of the running engine: how often would they have fired?"""
    from watchkeeper.app.rules_cli import backtest

    raise typer.Exit(backtest(file, rule, days, data, say))


@rules_app.command("rehearse")
def rules_rehearse(name: str, data: DataOption = None) -> None:
    """Try a remediation rule's action and its way back on its test target."""
    from watchkeeper.app.client import Client

    Client.of(data).post(f"/api/wk/rules/{name}/rehearse", {})
    say(f"{name}: there and back on the test target; it counts as rehearsed")


rules_app.command()(promote)
