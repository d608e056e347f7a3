"""``watchkeeper security``: whose behaviour is unusual, of the running engine or in log files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

security_app = typer.Typer(help="Users, addresses, machines and services that behave unusually.", no_args_is_help=True)


@security_app.callback()
def _group() -> None:
    """Commands have names, also while there is one."""


@security_app.command("risks")
def risks(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", exists=True, dir_okay=False, help="Log files; none: the running engine."),
    ] = None,
    least: Annotated[float, typer.Option(min=0, max=100, help="Only risks of at least so much.")] = 20.0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Entities to print at most.")] = 50,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")] = None,
) -> None:
    """Print risks from 0 to 100 with their reasons, the highest first; of files the highest that each had."""
    rows = _of_files(files, config, least) if files else _of_engine(config, data, least)
    for row in rows[:limit]:
        sys.stdout.write(
            f"{row['risk']:5.1f} {row['kind']:<8} {row['entity']:<32} {row['at']}  {_why(row['reasons'])}\n"
        )
    if len(rows) > limit:
        sys.stdout.write(f"... {len(rows) - limit} more; --limit prints them\n")


def _of_files(files: Sequence[Path], config: Path | None, least: float) -> list[dict[str, Any]]:
    from watchkeeper.app.entity_files import highest
    from watchkeeper.config import default_path, load

    acts, found = highest(files, load(config or default_path()))
    sys.stdout.write(f"{acts} acts in {len(files)} file{'s' if len(files) > 1 else ''}\n")
    return [row for row in found if row["risk"] >= least]


def _of_engine(config: Path | None, data: Path | None, least: float) -> list[dict[str, Any]]:
    from watchkeeper.app.client import Client
    from watchkeeper.app.wiring import data_dir
    from watchkeeper.config import default_path, load

    client = Client.of(data or data_dir(load(config or default_path()).config).root)
    found = client.get("/api/wk/security/entities", least=least, limit=1000)
    if not found["enabled"]:
        raise typer.BadParameter("the engine learns of nobody; set security.entities.enabled: on", param_hint="FILE")
    return [{**row, "at": row["last_seen"]} for row in found["entities"]]


def _why(reasons: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{one['reason']} {one['points']:.0f}" + "".join(f" {name}={value}" for name, value in one["detail"].items())
        for one in reasons
    )
