"""``watchkeeper actions`` and ``watchkeeper kill-switch``: what the Actions page can, in a terminal."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from watchkeeper.app.act_lines import WRITTEN, described, line, words_of

if TYPE_CHECKING:
    from watchkeeper.app.client import Client

actions_app = typer.Typer(
    help="What Watchkeeper wants to change: list, show, approve, reject, request.", no_args_is_help=True
)
switch_app = typer.Typer(help="The kill switch: show, set, clear.", no_args_is_help=True)
DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]
UserOption = Annotated[str, typer.Option("--user", help="Who you are; the password is asked for.", prompt=True)]
LanguageOption = Annotated[str, typer.Option("--language", help="zh-CN or en.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


@actions_app.command("list")
def listed(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for a person.")] = False,
    data: DataOption = None,
    language: LanguageOption = WRITTEN,
) -> None:
    """One line for each action, newest first."""
    words = words_of(language)
    for row in _client(data).get("/api/wk/actions", limit=200)["actions"]:
        if not waiting or row["state"] == "awaiting_approval":
            _say(line(row, words))


@actions_app.command("show")
def show(action: str, data: DataOption = None, language: LanguageOption = WRITTEN) -> None:
    """The plan, what it would do, what the gates say, and the hash an approval is bound to."""
    _say("\n".join(described(_of(_client(data), action), words_of(language))))


@actions_app.command("approve")
def approve(action: str, user: UserOption, reason: ReasonOption = "", data: DataOption = None) -> None:
    """Say yes to the plan as it is shown now. The password is typed each time, which classes A3 and A4 ask for."""
    _decide("approve", action, user, reason, data)


@actions_app.command("reject")
def reject(action: str, user: UserOption, reason: ReasonOption = "", data: DataOption = None) -> None:
    """Say no to the plan; it is never carried out."""
    _decide("reject", action, user, reason, data)


@actions_app.command("request")
def request(
    rule: str,
    user: UserOption,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit.", prompt=True)],
    waive: Annotated[
        list[str] | None,
        typer.Option("--waive", help="A gate to set aside for that reason: confirmed, flapping, cooldown, budget."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Ask for a rule's action yourself: it passes the same gates, and somebody else approves it where one must."""
    sent = {"reason": reason, "waive": waive or []}
    found = _person(_client(data), user).post(f"/api/wk/rules/{quote(rule, safe='')}/request", sent)
    _say(f"{found['action']}: asked for by {user}; `watchkeeper actions show {found['action']}` says how it goes")


@switch_app.command("show")
def switch(data: DataOption = None) -> None:
    """Is it set, by whom, since when and why; exit code 1 while it is."""
    found = _client(data).get("/api/wk/actions", limit=1)["kill_switch"]
    _say(f"set by {found['by']} at {found['at']}: {found['reason']}" if found["on"] else "not set")
    raise typer.Exit(1 if found["on"] else 0)


@switch_app.command("set")
def stop_all(reason: str, data: DataOption = None) -> None:
    """Nothing is carried out from now on. Works while the engine is down, too: the file alone sets it."""
    from watchkeeper.app.client import ClientError
    from watchkeeper.app.paths import write_private

    user = getpass.getuser()
    text = f"{user}: {reason}"
    write_private(_place(data).kill_switch, text)
    try:
        _client(data).post("/api/wk/kill-switch", {"on": True, "reason": text})
    except ClientError as error:
        _say(f"set by its file; the engine takes it over when it is back ({error})")
        return
    _say("set")


@switch_app.command("clear")
def go_on(reason: str, user: UserOption, data: DataOption = None) -> None:
    """Let actions run again; only an administrator may, with the password and a reason."""
    _person(_client(data), user).post("/api/wk/kill-switch", {"on": False, "reason": reason})
    _say("cleared")


def _decide(verdict: str, action: str, user: str, reason: str, data: Path | None) -> None:
    client = _client(data)
    shown = _of(client, action)
    _say("\n".join(described(shown, words_of(WRITTEN))))
    sent = {"plan_hash": shown["plan_hash"], "reason": reason}
    _person(client, user).post(f"/api/wk/actions/{quote(action, safe='')}/{verdict}", sent)
    _say(f"{action}: {verdict} by {user}")


def _person(client: Client, user: str) -> Client:
    return client.signed_in(user, typer.prompt(f"Password of {user}", hide_input=True))


def _of(client: Client, action: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/wk/actions/{quote(action, safe='')}")
    return found


def _place(data: Path | None) -> Any:
    import os

    from watchkeeper.app.paths import DataDir, default_data

    return DataDir(data or Path(os.environ.get("WATCHKEEPER_DATA") or default_data()))


def _client(data: Path | None) -> Client:
    from watchkeeper.app.client import Client as Found

    return Found.of(data)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
