"""``watchkeeper audit``: does the chain hold, and does it still contain what was sent to a second place?"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.errors import ConfigError

if TYPE_CHECKING:
    from watchkeeper.store.state import State

audit_app = typer.Typer(help="The audit trail: verify its chain, print its head.", no_args_is_help=True)
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]


@audit_app.command("verify")
def verify(
    config: ConfigOption = None,
    heads: Annotated[
        Path | None, typer.Option(help="File of heads kept elsewhere; default: audit.heads.file of the configuration.")
    ] = None,
    head: Annotated[list[str] | None, typer.Option(help="One head, ROW:HASH, as syslog or a page had it.")] = None,
) -> None:
    """Read every row; exit code 1 when one was edited, deleted, swapped or cut off. The engine may run meanwhile."""
    from watchkeeper.app.chain import head_of, heads_in
    from watchkeeper.app.chain import verify as read_whole

    state, kept = _opened(config)
    file = heads or kept
    remembered = [*(heads_in(file) if file else []), *(head_of(one, "--head") for one in head or [])]
    try:
        found = read_whole(state, remembered, datetime.now(UTC))
    finally:
        state.close()
    if found.broken_at is not None:
        _say(f"BROKEN  row {found.broken_at} does not fit the row before it, or was changed after it was written")
    if found.missing is not None:
        row, digest = found.missing
        _say(f"BROKEN  row {row} was {digest} when it was sent elsewhere; it is gone or another one now")
    if not found.intact:
        raise typer.Exit(1)
    _say(f"intact: {found.rows} rows, head {found.rows}:{found.head}; {found.heads} heads kept elsewhere fit")


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


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
