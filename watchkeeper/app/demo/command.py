"""The command line of the demo: start it, break it, heal it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import echo as say

from watchkeeper.app.demo.faults import FAULTS, known

app = typer.Typer(
    help="A small shop on loopback with an engine of its own: break it and watch it being mended.",
    invoke_without_command=True,
)
FolderOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the demo; default beside the data of a real engine.")
]


@app.callback()
def demo(
    context: typer.Context,
    data: FolderOption = None,
    language: Annotated[Literal["zh-CN", "en"], typer.Option(help="Of the pages of the first account.")] = "zh-CN",
) -> None:
    """Start the demo and stay until Ctrl-C."""
    from watchkeeper.app.demo.run import folder, run

    context.obj = folder(data)
    if context.invoked_subcommand is None:
        raise typer.Exit(run(context.obj, language))


@app.command("break")
def break_(context: typer.Context, name: str) -> None:
    """Turn a fault on; it mends itself after a while."""
    fault = known(name)
    _post(context, name, "break")
    say(f"{name}: {fault.what}.\nExpect: {fault.expect}. It ends by itself after {fault.lasts:g} s.")


@app.command()
def heal(context: typer.Context, name: str) -> None:
    """Turn a fault off."""
    known(name)
    was = _post(context, name, "heal")["was_on"]
    say(f"{name}: healed" if was else f"{name} was not on")


@app.command()
def faults() -> None:
    """The faults and what to expect of them."""
    for fault in FAULTS.values():
        say(f"{fault.name:18}{fault.what}\n{'':18}expect: {fault.expect}")


def _post(context: typer.Context, name: str, verb: str) -> dict[str, bool]:
    from watchkeeper.app.client import Client
    from watchkeeper.app.demo.place import Place

    place: Place = context.obj
    place.about()
    found: dict[str, bool] = Client.of(place.data.root).post(f"/api/wk/demo/{verb}", {"name": name})
    return found
