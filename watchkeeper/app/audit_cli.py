"""``watchkeeper audit``: does the chain hold, and does it still contain what was sent to a second place?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.errors import ConfigError

if TYPE_CHECKING:
    from watchkeeper.store.state import State

audit_app = typer.Typer(help="The audit trail: verify its chain, print its head.", no_args_is_help=True)
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]
Head = tuple[int, str]


@audit_app.command("verify")
def verify(
    config: ConfigOption = None,
    heads: Annotated[
        Path | None, typer.Option(help="File of heads kept elsewhere; default: audit.heads.file of the configuration.")
    ] = None,
    head: Annotated[list[str] | None, typer.Option(help="One head, ROW:HASH, as syslog or a page had it.")] = None,
) -> None:
    """Read every row; exit code 1 when one was edited, deleted, swapped or cut off. The engine may run meanwhile."""
    state, kept = _opened(config)
    remembered = [*_from_file(heads or kept), *(_parsed(one, "--head") for one in head or [])]
    try:
        with state.read() as unit:
            broken, newest = unit.audit.verify(), unit.audit.head()
            missing = next((one for one in remembered if not unit.audit.remembers(one)), None)
    finally:
        state.close()
    if broken is not None:
        _say(f"BROKEN  row {broken} does not fit the row before it, or was changed after it was written")
    if missing is not None:
        _say(f"BROKEN  row {missing[0]} was {missing[1]} when it was sent elsewhere; it is gone or another one now")
    if broken is not None or missing is not None:
        raise typer.Exit(1)
    _say(f"intact: {newest[0]} rows, head {newest[0]}:{newest[1]}; {len(remembered)} heads kept elsewhere fit")


@audit_app.command("head")
def show(config: ConfigOption = None) -> None:
    """Print the newest row's number and hash, to be written down where nobody can change it."""
    state, _ = _opened(config)
    try:
        with state.read() as unit:
            newest = unit.audit.head()
    finally:
        state.close()
    _say(f"{newest[0]}:{newest[1]}")


def _opened(config: Path | None) -> tuple[State, Path | None]:
    from watchkeeper.app.wiring import data_dir
    from watchkeeper.config import default_path, load
    from watchkeeper.store.state import State, sqlite_url

    found = load(config or default_path()).config
    url, file = found.store.state.url.get_secret_value(), data_dir(found).state
    if not url and not file.exists():
        raise ConfigError(f"there is no state database at {file}; name the right configuration with --config")
    return State(url or sqlite_url(file)), found.audit.heads.file


def _from_file(file: Path | None) -> list[Head]:
    """Lines of ``time row hash``."""
    if file is None:
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; without it a cut tail does not show") from None
    return [_parsed(":".join(line.split()[1:3]), f"{file}:{number}") for number, line in enumerate(lines, 1) if line]


def _parsed(text: str, place: str) -> Head:
    row, _, digest = text.partition(":")
    if not row.isdigit() or not digest:
        raise ConfigError(f"{place}: {text!r} is no head; write ROW:HASH")
    return int(row), digest


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
