"""``watchkeeper store``: look after samples and log lines on disk. Check, stat and export may run beside an engine."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import echo as say

from watchkeeper.app.paths import DataDir
from watchkeeper.errors import ConfigError

if TYPE_CHECKING:
    from watchkeeper.store.logs.checking import CheckedLines
    from watchkeeper.store.samples.figures import Figures

app = typer.Typer(help="Samples and log lines on disk: check, repair, stat, export.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]
FromOption = Annotated[
    Path | None, typer.Option("--from", help="A data directory, a backup, or a samples folder; default: the engine's.")
]


def samples_dir(config: Path | None, place: Path | None) -> Path:
    """The folder with ``log`` and ``blocks``."""
    if place is not None:
        return place if (place / "blocks").is_dir() else DataDir(place).samples
    from watchkeeper.app.wiring import data_dir
    from watchkeeper.config import default_path, load

    return data_dir(load(config or default_path()).config).samples


def lines_dir(config: Path | None, place: Path | None) -> Path | None:
    """The folder with log lines; None where only samples were named, or none are kept."""
    if place is not None and (place / "blocks").is_dir():
        return None
    found = samples_dir(config, place).parent / "lines"
    return found if found.is_dir() else None


@app.command()
def check(config: ConfigOption = None, place: FromOption = None) -> None:
    """Read every byte of samples and lines and say what is damaged; changes nothing; exit code 1 when something is."""
    from watchkeeper.store.samples.checking import check as look

    found = look(samples_dir(config, place))
    for one in found.findings:
        say(f"DAMAGED  {one.file} at byte {one.offset}: {one.what}")
    say(
        f"{found.blocks} blocks, {found.segments} log segments, {found.bytes} bytes, {found.chunks} chunks,"
        f" {found.ticks} ticks in the log, {found.torn_tails} unfinished writes: {len(found.findings)} damaged places"
    )
    wrong = bool(found.findings)
    if (folder := lines_dir(config, place)) is not None:
        wrong |= _check_lines(folder)
    raise typer.Exit(1 if wrong else 0)


def _check_lines(folder: Path) -> bool:
    """Whether something is damaged."""
    from watchkeeper.store.logs.checking import check_lines

    found = check_lines(folder)
    for one in found.findings:
        say(f"DAMAGED  {one.file} at byte {one.offset}: {one.what}")
    say(
        f"{found.files} files of log lines, {found.bytes} bytes, {found.lines} lines, {found.torn_tails} unfinished"
        f" writes: {len(found.findings)} damaged places"
    )
    return bool(found.findings)


@app.command()
def repair(config: ConfigOption = None, place: FromOption = None) -> None:
    """Write damaged files of a stopped engine anew from what is whole; the rest goes to damaged/ beside them."""
    from watchkeeper.store.samples.repairing import repair as mend

    done = mend(samples_dir(config, place))
    say(
        f"{len(done.before.findings)} damaged places: {done.rewritten} files written anew, {done.set_aside} places set"
        f" aside, {done.removed} leftovers removed; {len(done.after.findings)} damaged places are left"
    )
    left = bool(done.after.findings)
    if (folder := lines_dir(config, place)) is not None:
        left |= _repair_lines(folder)
    raise typer.Exit(1 if left else 0)


def _repair_lines(folder: Path) -> bool:
    """Whether something damaged is left."""
    from watchkeeper.store.logs.repairing import repair_lines

    done = repair_lines(folder)
    say(
        f"log lines: {len(done.before.findings)} damaged places: {done.rewritten} files written anew, those before set"
        f" aside in lines/damaged, {done.removed} leftovers removed; {len(done.after.findings)} damaged places are left"
    )
    return bool(done.after.findings)


@app.command()
def stat(
    config: ConfigOption = None,
    place: FromOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    blocks: Annotated[bool, typer.Option("--blocks", help="A line for every block.")] = False,
) -> None:
    """Say what the store holds: span, series, samples, bytes a sample, and the metrics with the most series."""
    from watchkeeper.store.logs.checking import check_lines
    from watchkeeper.store.samples.figures import stat as measure

    found, folder = measure(samples_dir(config, place)), lines_dir(config, place)
    lines = None if folder is None else check_lines(folder)
    if as_json:
        sums = {name: getattr(found, name) for name in ("block_bytes", "block_samples", "bytes_per_sample")}
        say(json.dumps({**asdict(found), **sums, "lines": None if lines is None else asdict(lines)}))
        return
    if found.first_ms is None or found.last_ms is None:
        say("no samples")
    else:
        _say_samples(found, blocks=blocks)
    if lines is not None:
        _say_lines(lines)


def _say_lines(found: CheckedLines) -> None:
    if found.first_ms is None or found.last_ms is None:
        say("no log lines")
        return
    each = f", {found.bytes / found.lines:.1f} bytes a line" if found.lines else ""
    say(f"lines     {found.lines} in {found.files} files: {found.bytes} bytes of {found.text_bytes} of text{each}")
    say(f"          from {told(found.first_ms)} to {told(found.last_ms)}")
    for name, size in sorted(found.class_bytes.items()):
        say(f"          {size} bytes sealed of class {name}")
    if found.findings:
        say(f"          {len(found.findings)} damaged places; see `watchkeeper store check`")


def _say_samples(found: Figures, *, blocks: bool) -> None:
    assert found.first_ms is not None
    assert found.last_ms is not None
    each = "" if found.bytes_per_sample is None else f", {found.bytes_per_sample:.3f} bytes a sample"
    say(f"from      {told(found.first_ms)} to {told(found.last_ms)}")
    say(f"series    {found.series} of {found.targets} targets")
    say(f"blocks    {len(found.blocks)}: {found.block_samples} samples, {found.block_bytes} bytes{each}")
    say(f"log       {found.log_samples} samples in no block yet, {found.log_bytes} bytes")
    for width, size in found.tier_bytes.items():
        say(f"{width:<9} {size} bytes of aggregates")
    say(f"damaged   {found.damaged} places" + ("; see `watchkeeper store check`" if found.damaged else ""))
    for name, count in found.metrics:
        say(f"  {count:>9} series  {name}")
    for block in found.blocks if blocks else ():
        say(
            f"  {block.file}  {told(block.first_ms)} to {told(block.last_ms)}  {block.targets} targets,"
            f" {block.series} series, {block.samples} samples, {block.bytes} bytes"
        )


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="File to write.")],
    form: Annotated[str, typer.Option("--format", help="openmetrics, jsonl, csv or parquet.")] = "openmetrics",
    match: Annotated[str, typer.Option(help="A selector such as '{job=\"node\"}'; default: everything.")] = "",
    start: Annotated[str, typer.Option("--start", help="RFC 3339; default: the oldest sample.")] = "",
    end: Annotated[str, typer.Option("--end", help="RFC 3339; default: the newest sample.")] = "",
    config: ConfigOption = None,
    place: FromOption = None,
) -> None:
    """Write samples to a file that other tools read."""
    from watchkeeper.store.samples.exporting import export as write
    from watchkeeper.store.samples.snapshot import Snapshot

    matchers = matchers_of(match)
    snapshot = Snapshot(samples_dir(config, place))
    first, last = snapshot.bounds() or (0, -1)
    low, high = moment_ms(start, first, "--start"), moment_ms(end, last, "--end")
    count = write(snapshot, output, form, matchers, low, high)
    say(f"{count} samples in {output}")


def matchers_of(text: str) -> list[Any]:
    """The matchers of one plain selector; none for the empty text."""
    if not text:
        return []
    from watchkeeper.promql import parse, selectors

    parse(text)
    chosen = selectors(text)
    if len(chosen) != 1:
        raise ConfigError(f"{text!r} is not one selector", key="--match")
    return list(chosen[0][0])


def moment_ms(text: str, default: int, name: str) -> int:
    """RFC 3339 or Unix seconds."""
    if not text:
        return default
    try:
        return round(float(text) * 1000)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time; write 2026-01-31T12:00:00Z or Unix seconds", key=name) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def told(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
