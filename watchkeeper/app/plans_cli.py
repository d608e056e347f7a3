"""``watchkeeper plans``: what the page Plans can, in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

if TYPE_CHECKING:
    from watchkeeper.app.client import Client

plans_app = typer.Typer(
    help="Contingency plans: list, start, drill, show, say what steps came to.", no_args_is_help=True
)
DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]
NoteOption = Annotated[str, typer.Option("--note", help="What came of it; needed to leave a step out.")]
UserOption = Annotated[
    str, typer.Option("--user", help="Who you are; the password is asked for. Empty: this machine's own token.")
]


@plans_app.command("list")
def listed(data: DataOption = None) -> None:
    """The plans in force, then their runs, newest first."""
    found = _client(data).get("/api/wk/plans")
    for one in found["plans"]:
        age = "never drilled" if one["drill_age_seconds"] is None else f"drilled {_span(one['drill_age_seconds'])} ago"
        late = "  DRILL OVERDUE" if one["drill_overdue"] else ""
        start = "by hand" if one["by_hand"] else "by its trigger"
        _say(
            f"{one['name']:<24} {len(one['steps'])} steps, {start}, target {_span(one['target_seconds'])}, {age}{late}"
        )
    for one in [*found["live"], *found["recent"]]:
        _say(_headline(one))


@plans_app.command("start")
def start(
    plan: str,
    reason: ReasonOption,
    incident: Annotated[str, typer.Option("--incident", help="Open incident that it is for.")] = "",
    user: UserOption = "",
    data: DataOption = None,
) -> None:
    """Begin a plan by hand."""
    sent = {"reason": reason, "incident_id": incident}
    _say(_as(_client(data), user).post(f"/api/wk/plans/{_quoted(plan)}/start", sent)["run"])


@plans_app.command("drill")
def drill(
    plan: str,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit.")] = "drill",
    user: UserOption = "",
    data: DataOption = None,
) -> None:
    """Go through a plan without touching what serves: rules are rehearsed, only the drill audience is told."""
    sent = {"reason": reason, "drill": True}
    _say(_as(_client(data), user).post(f"/api/wk/plans/{_quoted(plan)}/start", sent)["run"])


@plans_app.command("show")
def show(run: str, data: DataOption = None) -> None:
    """A run: its clock, its steps, and what happened."""
    found = _client(data).get(f"/api/wk/plans/runs/{_quoted(run)}")
    _say("\n".join([_headline(found), *map(_step, found["steps"])]))
    for row in found["timeline"]:
        change = f"{row['old_state'] or '-'} -> {row['new_state']}"
        _say(f"  {row['at']}  {row['subject_id']}  {change}  {row['actor']}: {row['reason']}")


@plans_app.command("done")
def done(run: str, step: str, note: NoteOption = "", user: UserOption = "", data: DataOption = None) -> None:
    """The step that is being taken is done."""
    _mark(run, step, "done", note, user, data)


@plans_app.command("failed")
def failed(run: str, step: str, note: NoteOption, user: UserOption = "", data: DataOption = None) -> None:
    """The step could not be done; the next one is taken."""
    _mark(run, step, "failed", note, user, data)


@plans_app.command("skip")
def skip(run: str, step: str, note: NoteOption, user: UserOption = "", data: DataOption = None) -> None:
    """Leave the step out."""
    _mark(run, step, "skip", note, user, data)


@plans_app.command("retry")
def retry(
    run: str,
    step: str,
    note: NoteOption = "",
    waive: Annotated[list[str] | None, typer.Option(help="A gate that people may waive; repeatable.")] = None,
    user: UserOption = "",
    data: DataOption = None,
) -> None:
    """Have the machine try a blocked step again, through the same gates and approvals."""
    sent = {"note": note, "waive": waive or []}
    path = f"/api/wk/plans/runs/{_quoted(run)}/steps/{_quoted(step)}/retry"
    _say(_headline(_as(_client(data), user).post(path, sent)))


@plans_app.command("abort")
def abort(run: str, note: NoteOption, user: UserOption = "", data: DataOption = None) -> None:
    """Call a run off; what an action has begun goes on by its own rules."""
    _say(_headline(_as(_client(data), user).post(f"/api/wk/plans/runs/{_quoted(run)}/abort", {"note": note})))


@plans_app.command("pack")
def pack(
    run: str,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default RUN.zip.")] = None,
    data: DataOption = None,
) -> None:
    """The evidence of a run as one file."""
    found = _client(data).raw("GET", f"/api/wk/plans/runs/{_quoted(run)}/pack")
    file = output or Path(f"{run}.zip")
    file.write_bytes(found)
    _say(f"{file}: {len(found)} bytes")


def _mark(run: str, step: str, verdict: str, note: str, user: str, data: Path | None) -> None:
    path = f"/api/wk/plans/runs/{_quoted(run)}/steps/{_quoted(step)}/{verdict}"
    _say(_headline(_as(_client(data), user).post(path, {"note": note})))


def _headline(run: Mapping[str, Any]) -> str:
    clock = run["clock"]
    what = "drill " if run["drill"] else ""
    spent = f"{_span(clock['elapsed_seconds'])} of {_span(clock['target_seconds'])}"
    word = "LATE" if clock["late"] else "running" if clock["running"] else "stopped"
    at = f", at {run['current']}" if run["current"] else ""
    named = f"{run['id']:<10} {what}{run['plan']} {run['state']}{at}"
    return f"{named}, clock {word} {spent}, incident {run['incident_id'] or '-'}"


def _step(step: Mapping[str, Any]) -> str:
    action = f" {step['action_id']} ({step['action_state']})" if step["action_id"] else ""
    late = " LATE" if step["overdue_at"] else ""
    note = f": {step['note']}" if step["note"] else ""
    return f"  {step['state']:<10} {step['name']} [{step['kind']}]{action}{late}{note}"


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _as(client: Client, user: str) -> Client:
    return client.signed_in(user, typer.prompt(f"Password of {user}", hide_input=True)) if user else client


def _client(data: Path | None) -> Client:
    from watchkeeper.app.client import Client as Found

    return Found.of(data)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
