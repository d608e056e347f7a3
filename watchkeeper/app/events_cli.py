"""``watchkeeper events``: tell the running engine what happens, and list it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Deploys, changes, backups, drills: send, list.", no_args_is_help=True)

DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


@app.command("send")
def send(
    kind: Annotated[str, typer.Argument(help="deploy, change, config_change, backup, restore_drill, patch ...")],
    title: Annotated[str, typer.Argument(help="What happened, in one line.")],
    *,
    service: Annotated[str, typer.Option(help="Service it is about.")] = "",
    environment: Annotated[str, typer.Option(help="DEV, TEST, STAGING, PROD.")] = "",
    status: Annotated[str, typer.Option(help="planned, running, ok, failed or cancelled.")] = "ok",
    version: Annotated[str, typer.Option(help="Of the software.")] = "",
    start: Annotated[str, typer.Option(help="ISO-8601 with a zone; now when empty.")] = "",
    end: Annotated[str, typer.Option(help="ISO-8601 with a zone.")] = "",
    actor: Annotated[str, typer.Option(help="Who did it.")] = "",
    link: Annotated[str, typer.Option(help="Address of more.")] = "",
    event_id: Annotated[str, typer.Option("--id", help="Your own; sending it again adds nothing.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="name=value; may be repeated.")] = None,
    data: DataOption = None,
) -> None:
    """Tell one event."""
    from watchkeeper.app.client import Client

    body: dict[str, Any] = {
        "kind": kind, "title": title, "service": service, "environment": environment, "status": status,
        "version": version, "actor": actor, "link": link, "id": event_id, "labels": _labels(label or []),
    }  # fmt: skip
    body |= {name: value for name, value in (("start", start), ("end", end)) if value}
    answer = Client.of(data).post("/api/wk/events", body)
    say(answer["added"][0] if answer["added"] else f"told before: nothing was added for id {event_id!r}")


def _labels(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    wrong = next((name for name, equals, _ in pairs if not equals), None)
    if wrong is not None:
        raise typer.BadParameter(f"write --label name=value, not {wrong!r}")
    return {name: value for name, _, value in pairs}


@app.command("list")
def listed(
    *,
    kind: Annotated[str, typer.Option(help="Only this kind.")] = "",
    service: Annotated[str, typer.Option(help="Only of this service.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    data: DataOption = None,
) -> None:
    """What happened in the last 30 days, newest first."""
    from watchkeeper.app.client import Client

    wanted = {name: value for name, value in (("kind", kind), ("service", service)) if value}
    for row in Client.of(data).get("/api/wk/events", limit=limit, **wanted)["events"]:
        about = f"{row['title']} {row['version'][:12]}".strip()
        say(f"{row['start']:<24} {row['kind']:<16} {row['status']:<9} {row['service'] or '-':<20} {about}")
