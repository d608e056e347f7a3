"""``watchkeeper events``: tell the running engine what happens, and list it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import echo as say

app = typer.Typer(help="Deploys, changes, backups, drills: send, list.", no_args_is_help=True)

DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]


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
        "version": version, "actor": actor, "link": link, "id": event_id, "labels": pairs("--label", label or []),
    }  # fmt: skip
    body |= {name: value for name, value in (("start", start), ("end", end)) if value}
    answer = Client.of(data).post("/api/wk/events", body)
    say(answer["added"][0] if answer["added"] else f"told before: nothing was added for id {event_id!r}")


def pairs(option: str, given: list[str]) -> dict[str, str]:
    """``name=value`` as names and values, of an option that may be repeated."""
    found = [one.partition("=") for one in given]
    wrong = next((name for name, equals, _ in found if not equals), None)
    if wrong is not None:
        raise typer.BadParameter(f"write {option} name=value, not {wrong!r}")
    return {name: value for name, _, value in found}


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


#: Exit codes of ``gate``.
CODES = {"passed": 0, "failed": 1}
UNDECIDED = 3


@app.command("gate")
def gate(
    service: Annotated[str, typer.Argument(help="Service whose newest deploy is judged.")],
    *,
    environment: Annotated[str, typer.Option(help="DEV, TEST, STAGING, PROD.")] = "",
    version: Annotated[str, typer.Option(help="Of the software; the newest deploy when empty.")] = "",
    stage: Annotated[str, typer.Option(help="A stage of the deploy, such as grey.")] = "",
    wait: Annotated[str, typer.Option(help="Wait so long for the verdict, such as 15m.")] = "0s",
    data: DataOption = None,
) -> None:
    """Judge a release by its metrics before and after it. Exit code 0: passed, 1: failed, 3: not known (yet).

    An engine that does not answer is asked again until the time is over: not known.
    """
    found = _verdict({"service": service, "environment": environment, "version": version, "stage": stage}, wait, data)
    say(f"{found['service']} {found['version']} {found['environment']}: {found['verdict'] or found['status']}")
    if found["verdict"] == "unknown" and not found["checks"]:
        say("  nothing that could tell is measured before and after it: no golden signal, latency, error or error line")
        say("  of the service; name what counts in events.gate.checks")
    for one in found["checks"]:
        say(
            f"  {one['name']:<16} {one['verdict']:<8} before {_value(one['before'])}, after {_value(one['after'])}"
            f", allowed {_value(one['allowed'])}{' (' + one['reason'] + ')' if one['reason'] else ''}"
        )
    raise typer.Exit(CODES.get(found["verdict"], UNDECIDED))


def _verdict(query: dict[str, str], wait: str, data: Path | None) -> dict[str, Any]:
    """The newest answer. Exits with ``UNDECIDED`` where there was none."""
    import time
    from urllib.parse import urlencode

    from watchkeeper.app.client import Client, ClientError
    from watchkeeper.config.types import parse_duration

    try:
        ends = time.monotonic() + parse_duration(wait).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(f"--wait {wait}: {error}") from None
    path = f"/api/wk/releases/gate?{urlencode(query)}"
    found: dict[str, Any] | None = None
    while True:
        problem = ""
        try:
            found = Client.of(data).get(path)
        except ClientError as error:
            problem = str(error)
        left = ends - time.monotonic()
        if left <= 0 or (found is not None and found["final"]):
            break
        time.sleep(min(10.0, max(left, 0.1)))
    if found is None:
        typer.echo(problem, err=True)
        raise typer.Exit(UNDECIDED)
    return found


def _value(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
