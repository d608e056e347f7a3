"""``watchkeeper services`` and ``watchkeeper collectors``: what there is, and what a source would bring."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import echo as say

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.collect import Source
    from watchkeeper.ports import Collected

services_app = typer.Typer(help="The service catalogue.", no_args_is_help=True)
collectors_app = typer.Typer(help="What is collected: list, options, try.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]
LanguageOption = Annotated[str, typer.Option("--language", help="zh-CN or en.")]
#: Samples printed by ``try`` unless all are asked for.
SHOWN = 20


@services_app.command("kinds")
def kinds(
    config: ConfigOption = None,
    *,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/kinds.md.")] = False,
) -> None:
    """Every service kind, what it is, and which options its services take."""
    from watchkeeper.app.catalogue.describe import markdown, options
    from watchkeeper.app.catalogue.expand import service_kinds
    from watchkeeper.config import default_path, load

    loaded = load(config or default_path())
    found = service_kinds(loaded)
    if as_markdown:
        sys.stdout.write(markdown(found))
        return
    for name, kind in sorted(found.items()):
        say(f"{name:<18} {kind.title[loaded.config.language]}: {kind.about[loaded.config.language]}")
        say(f"{'':<18} {len(kind.metrics)} metrics; options: {', '.join(options(kind)) or 'none'}")


@services_app.command("list")
def services(config: ConfigOption = None) -> None:
    """The catalogue as the configuration has it."""
    from watchkeeper.app.catalogue import read
    from watchkeeper.config import default_path

    for one in read(config or default_path()).services:
        calls = f" calls {', '.join(one.depends_on)}" if one.depends_on else ""
        say(f"{one.name:<24} {one.kind or '-':<18} {one.tier or '-':<10} {one.owner or '-':<16}{calls}")


@collectors_app.command("list")
def collectors(config: ConfigOption = None) -> None:
    """Every source of the configuration and of the catalogue, and the kinds there are."""
    from collectors import BUILTIN
    from watchkeeper.app.catalogue import read
    from watchkeeper.config import default_path
    from watchkeeper.registry import Registry

    for row in read(config or default_path()).config.collect.sources:
        say(f"{row.name:<32} {row.kind:<18} {row.service or '-'}")
    say("kinds: " + ", ".join(Registry("collectors", BUILTIN).kinds()))
    say("`watchkeeper collectors options KIND` tells what one reads and takes")


@collectors_app.command("options")
def options_of_kind(kind: Annotated[str, typer.Argument(help="Kind of collector, as in `collectors list`.")]) -> None:
    """What a kind of collector reads, and every option with its default and meaning."""
    from collectors import BUILTIN
    from watchkeeper.app.kind_options import GIVEN, about, options_of
    from watchkeeper.errors import ConfigError
    from watchkeeper.registry import Registry

    try:
        part = Registry("collectors", BUILTIN).get(kind)
    except ConfigError as error:
        raise typer.BadParameter(error.message, param_hint="KIND") from None
    say(f"{kind}: {about(part)}")
    for one in options_of(part):
        say(f"  {one.name:<32} {one.default:<16} {one.about}")
    say(f"and of every source: {', '.join(GIVEN)}, interval, service, agents (docs/config.md)")


@collectors_app.command("try")
def attempt(
    name: str,
    config: ConfigOption = None,
    *,
    whole: Annotated[bool, typer.Option("--all", help="Print every sample, not the first ones.")] = False,
    language: LanguageOption = "en",
) -> None:
    """Read one source now and print what would be collected, or why not; nothing is stored. Exit code 1 on failure."""
    from watchkeeper.app.catalogue import read
    from watchkeeper.app.compose import configured_sources
    from watchkeeper.app.tried import REMEDIES, unanswered
    from watchkeeper.config import default_path
    from watchkeeper.errors import CollectError
    from watchkeeper.reasons import told

    loaded = read(config or default_path())
    source = next((one for one in configured_sources(loaded) if one.name == name), None)
    if source is None:
        known = ", ".join(row.name for row in loaded.config.collect.sources) or "none"
        say(told(f"no source is named {name!r}; there are: {known}", language))
        raise typer.Exit(1)
    try:
        found = asyncio.run(_collect(source))
    except CollectError as error:
        say(told(f"FAILED ({error.reason}): {error}", language))
        if error.reason in REMEDIES:
            say(told(f"remedy: {REMEDIES[error.reason]}", language))
        raise typer.Exit(1) from None
    _tell(found, language, whole=whole)
    for kept in ("problems", "absent"):
        for sentence in unanswered(getattr(source.collector, kept, {})):
            say(told(sentence, language))


async def _collect(source: Source) -> Collected:
    from watchkeeper.clock import SystemClock
    from watchkeeper.outbound import Outbound

    outbound = Outbound(allow_private=True)
    try:
        return await source.collector.collect(SystemClock().now(), outbound)
    finally:
        await source.collector.close()
        await outbound.aclose()


def _tell(found: Collected, language: str, *, whole: bool) -> None:
    from watchkeeper.app.tried import advice
    from watchkeeper.model import format_series, is_stale, metric_name
    from watchkeeper.reasons import told

    rows: list[tuple[Any, float]] = [
        (series, value)
        for tick in found.ticks
        for series, value, stale in zip(
            tick.layout.series, tick.values.tolist(), is_stale(tick.values).tolist(), strict=True
        )
        if not stale
    ]
    for series, value in rows if whole else rows[:SHOWN]:
        say(f"{format_series(series)} {value:g}")
    if len(rows) > SHOWN and not whole:
        say(told(f"... {len(rows) - SHOWN} more; --all prints them", language))
    names = Counter(metric_name(series) for series, _ in rows)
    lines = sum(map(len, found.logs))
    read = f"{len(rows)} samples of {len(names)} metrics, {lines} log lines, {found.body_bytes} bytes read"
    refused = [f"rejected {count}: {reason}" for reason, count in sorted(found.rejected.items())]
    for sentence in (read, *refused, *advice(rows)):
        say(told(sentence, language))
