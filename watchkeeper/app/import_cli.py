"""``watchkeeper import``: history of other systems into the samples of a stopped engine."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from watchkeeper.errors import ConfigError

app = typer.Typer(help="History of other systems into the samples of a stopped engine.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """History of other systems into the samples of a stopped engine."""


@app.command()
def prometheus(
    url: Annotated[str, typer.Argument(help="Root of the server, for example http://prometheus:9090.")],
    match: Annotated[list[str], typer.Option("--match", help="A selector, for example '{job=\"node\"}'; repeatable.")],
    start: Annotated[str, typer.Option("--from", help="RFC 3339 or Unix seconds.")],
    end: Annotated[str, typer.Option("--to", help="RFC 3339 or Unix seconds; default: now.")] = "",
    window: Annotated[str, typer.Option(help="Asked for at once; halved where the server finds it too much.")] = "30m",
    bearer_token_file: Annotated[Path | None, typer.Option(help="File with a token for the server.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="Name: value, for example X-Scope-OrgID: a.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")] = None,
) -> None:
    """Copy raw samples of a Prometheus-compatible server. Run again after a failure, it goes on where it stopped."""
    from watchkeeper.app.importing import Import, Progress, Wanted
    from watchkeeper.app.store_cli import matchers_of, moment_ms
    from watchkeeper.app.wiring import data_dir
    from watchkeeper.clock import SystemClock, to_ms
    from watchkeeper.config import default_path, load
    from watchkeeper.config.types import parse_duration
    from watchkeeper.outbound import Outbound
    from watchkeeper.store.samples import EmbeddedStore

    for text in match:
        matchers_of(text)
    loaded, clock = load(config or default_path()), SystemClock()
    now_ms = to_ms(clock.now())
    headers = dict(_pair(text) for text in header or [])
    if bearer_token_file is not None:
        headers["Authorization"] = f"Bearer {bearer_token_file.read_text(encoding='utf-8').strip()}"
    wanted = Wanted(
        url=url,
        matches=match,
        start_ms=moment_ms(start, 0, "--from"),
        end_ms=moment_ms(end, now_ms, "--to"),
        window_ms=parse_duration(window) // timedelta(milliseconds=1),
        headers=headers,
    )
    oldest = now_ms - loaded.config.store.retention // timedelta(milliseconds=1)
    since = datetime.fromtimestamp(oldest / 1000 + 60, UTC)
    if wanted.start_ms < oldest:
        raise ConfigError(
            f"samples older than {loaded.config.store.retention.days} days would be dropped at once: raise the"
            f" retention, or write --from {since:%Y-%m-%dT%H:%M:%SZ} or later",
            key="store.retention",
        )

    def tell(progress: Progress) -> None:
        at = datetime.fromtimestamp(progress.until_ms / 1000, UTC).isoformat(timespec="seconds")
        sys.stdout.write(f"until {at}: {progress.stored} samples in {progress.ticks} ticks\n")
        sys.stdout.flush()

    async def run() -> Progress:
        outbound = Outbound(allow_private=True)
        try:
            return await Import(wanted, store, data.root / "imports", outbound).run(tell)
        finally:
            await outbound.aclose()

    data = data_dir(loaded.config).create()
    with data.lock("engine"):
        kept = loaded.config.store
        store = EmbeddedStore(
            data.samples,
            clock=clock,
            retention=kept.retention,
            tiers={300_000: kept.retention_5m, 3_600_000: kept.retention_1h},
        )
        try:
            done = asyncio.run(run())
        finally:
            store.close()
    rejected = "".join(f", {count} refused as {reason}" for reason, count in sorted(done.rejected.items()))
    sys.stdout.write(f"{done.stored} samples kept, {done.deduplicated} known already{rejected}\n")


def _pair(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ConfigError(f"{text!r} is no header; write Name: value", key="--header")
    return name.strip(), value.strip()
