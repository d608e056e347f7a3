"""``watchkeeper logs``: lines of the running engine, newest last as in a terminal; the templates of any file."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

logs_app = typer.Typer(help="Log lines that were collected.", no_args_is_help=True)


@logs_app.command("search")
def search(
    query: Annotated[str, typer.Argument(help='Words, "phrases", -not, field=value, field~regex, /regex/.')] = "",
    since: Annotated[str, typer.Option(help="How far back, for example 15m, 2h or 7d.")] = "1h",
    service: Annotated[str, typer.Option(help="Only lines of this service.")] = "",
    severity: Annotated[str, typer.Option(help="Some of none,debug,info,warning,error,critical.")] = "",
    template: Annotated[str, typer.Option(help="Only lines of this kind, by its name in `logs templates`.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Lines at most.")] = 100,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")] = None,
) -> None:
    """Print matching lines; exit code 1 when none matches."""
    from watchkeeper.app.client import Client
    from watchkeeper.app.wiring import data_dir
    from watchkeeper.config import default_path, load
    from watchkeeper.config.types import parse_duration

    try:
        span = parse_duration(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    end = round(datetime.now(UTC).timestamp() * 1000)
    asked: dict[str, Any] = {"query": query, "start_ms": end - round(span.total_seconds() * 1000), "end_ms": end}
    asked |= {"service": service, "severity": severity, "template": template, "limit": limit}
    found = Client.of(data_dir(load(config or default_path()).config).root).get("/api/wk/logs", **asked)
    if found["error"]:
        raise typer.BadParameter(found["error"], param_hint="QUERY")
    for line in reversed(found["lines"]):
        at = datetime.fromtimestamp(line["time_ms"] / 1000, UTC).astimezone().isoformat(timespec="milliseconds")
        labels = line["labels"]
        origin = labels.get("service") or labels.get("job") or labels.get("file", "")
        sys.stdout.write(f"{at} {line['severity'] or '-':<8} {origin}: {line['text']}\n")
    if found["partial"]:
        sys.stderr.write("there was no time to look at everything; ask for a shorter range\n")
    if not found["lines"]:
        raise typer.Exit(1)


@logs_app.command("templates")
def templates(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", exists=True, dir_okay=False, help="Log lines; none: of the running engine."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write event_id,template of each line of FILE to this CSV.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Templates to print at most, without --out.")] = 100,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")] = None,
) -> None:
    """Print the templates of a file's lines, most frequent first; --out tells the template of each line."""
    if source is None:
        _of_engine(config, limit)
        return
    from watchkeeper.app.template_file import learned, write_labels

    miner = learned(source)
    if out is not None:
        count = write_labels(miner, source, out)
        typer.echo(f"{count} lines of {len(miner.templates())} templates: {out}")
        return
    for one in miner.templates()[:limit]:
        sys.stdout.write(f"{one.count:>9} {one.id} {one.text}\n")


def _of_engine(config: Path | None, limit: int) -> None:
    from watchkeeper.app.client import Client
    from watchkeeper.app.wiring import data_dir
    from watchkeeper.config import default_path, load

    found = Client.of(data_dir(load(config or default_path()).config).root).get("/api/wk/logs/templates", limit=limit)
    if not found["enabled"]:
        raise typer.BadParameter("the engine learns no templates; set logs.templates.enabled: on", param_hint="FILE")
    for one in found["templates"]:
        sys.stdout.write(f"{one['count']:>9} {one['id']} {one['text']}\n")
