"""The command ``watchkeeper rules promote``; what it does is in ``rules_promote``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import echo as say

from watchkeeper.app.events_cli import pairs


def promote(
    what: Annotated[str, typer.Argument(metavar="FILE|GROUP", help="A group: of the configured rule folders.")],
    source: Annotated[str, typer.Option("--from", help="DEV, TEST or STAGING.")],
    target: Annotated[str, typer.Option("--to", help="TEST, STAGING or PROD: the next one.")],
    *,
    into: Annotated[Path | None, typer.Option(help="File written; default: beside it, named for --to.")] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", help="Of remediations: here=there; repeatable.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite rules of these names that differ.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave an environment out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print only.")] = False,
    tell: Annotated[bool, typer.Option("--tell", help="Tell the running engine of it, as a change.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, for GROUP.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data directory of the running engine, for --tell.")
    ] = None,
) -> None:
    """Write the rules of one environment for the next: DEV, TEST, STAGING, PROD. Remediations come as dry_run."""
    from rules.promotion import Step
    from watchkeeper.app.client import Client
    from watchkeeper.app.rules_promote import Wish, run, tell_engine, wanted

    step, renamed = Step(source, target, skip=skip), pairs("--target", targets or [])
    file, group = wanted(what, config)
    wish = Wish(step=step, source=file, group=group, into=into, targets=renamed, replace=replace, dry_run=dry_run)
    code, written = run(wish, say)
    if tell and written is not None:
        say(f"told as {tell_engine(Client.of(data), written, what, step)}")
    raise typer.Exit(code)
