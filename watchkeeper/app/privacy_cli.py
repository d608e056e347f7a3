"""``watchkeeper privacy``: one person's data erased from the running engine."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

privacy_app = typer.Typer(help="One person's data: erase.", no_args_is_help=True)
#: Seconds that all segments of lines may take.
PATIENCE = 3600.0


@privacy_app.callback()
def _group() -> None:
    """Commands have names, also while there is one."""


@privacy_app.command("erase")
def erase(
    words: Annotated[list[str], typer.Argument(help="Names, addresses and numbers that stand for the person.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit; without the person's name.")],
    confirm: Annotated[bool, typer.Option("--confirm", help="Erase; without it nothing is changed.")] = False,
    user: Annotated[str, typer.Option("--user", help="An administrator; the password is asked for.")] = "",
    language: Annotated[str, typer.Option("--language", help="zh-CN or en.")] = "en",
    data: Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")] = None,
) -> None:
    """Count what names a person; with --confirm take their lines, habits and account away and overwrite events.

    The engine runs meanwhile. What cannot be erased is printed with the reason.
    """
    from watchkeeper.app.client import Client
    from watchkeeper.reasons import told

    client = Client.of(data)
    if confirm:
        name = user or typer.prompt(told("Administrator", language), default=getpass.getuser())
        client = client.signed_in(name, typer.prompt(told(f"Password of {name}", language), hide_input=True))
    body = {"words": words, "reason": reason, "confirm": confirm}
    for line in _told(client.post("/api/wk/privacy/erase", body, timeout=PATIENCE)):
        sys.stdout.write(told(line, language) + "\n")


def _told(report: dict[str, Any]) -> list[str]:
    did = "would be erased" if report["dry_run"] else "erased"
    found = [f"{did}: " + ", ".join(f"{name} {count}" for name, count in sorted(report["erased"].items()))]
    found += [f"stays: {one['where']} {one['count']}: {one['why']}" for one in report["left"]]
    found.append(
        "nothing was changed; --confirm erases" if report["dry_run"] else f"in the audit as {report['receipt']}"
    )
    return found
