"""The engine process: compose, serve the API, run the schedule, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter

from watchkeeper.app import garbage
from watchkeeper.app.api.app import create
from watchkeeper.app.compose import compose
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import start, stop
from watchkeeper.app.paths import write_private
from watchkeeper.app.quiet_server import quiet_server
from watchkeeper.app.reload import reload
from watchkeeper.app.wiring import data_dir, engine_url
from watchkeeper.clock import SystemClock
from watchkeeper.config import default_path, load
from watchkeeper.telemetry import logger, set_up_logging

log = logger(__name__)


def serve_engine(config: Path | None, routers: Sequence[APIRouter] = ()) -> None:
    """Run until SIGINT or SIGTERM. ``routers`` are routes beside the engine's own."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the loop answers it: what is read below is fresh anyway
    path = config or default_path()
    loaded = load(path)
    data = data_dir(loaded.config).create()
    lock = data.lock("engine")
    set_up_logging(data.logs / "engine.log", process="engine")
    try:
        engine = compose(loaded, data=data, clock=SystemClock())
        asyncio.run(_serve(engine, routers))
    finally:
        data.engine_ready.unlink(missing_ok=True)
        lock.close()


async def _serve(engine: Engine, routers: Sequence[APIRouter] = ()) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGHUP, _reload_soon, engine)
    server = quiet_server(create(engine, routers), engine.config.engine.listen, engine.config.engine.tls)
    await start(engine)
    announcing = asyncio.create_task(_announce(engine, server))
    garbage.settle(engine.scheduler)  # what composition made lives as long as the process
    parts = (
        server.serve(),
        engine.scheduler.run(stopping, engine.remediation.on_gap),
        engine.telling.run(stopping),
    )

    def leave() -> None:
        stopping.set()
        server.should_exit = True
        announcing.cancel()

    try:
        await together(stopping, leave, parts)
    finally:
        await stop(engine)


async def together(
    stopping: asyncio.Event, leave: Callable[[], None], parts: Sequence[Coroutine[Any, Any, Any]]
) -> None:
    """Run the parts until told to stop or until one of them ends; its error is raised once all have ended.

    An engine without its schedule, or without its API, would look alive and watch nothing: it ends, and its parent
    starts it again.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    leave()
    waiting.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def _reload_soon(engine: Engine) -> None:
    """SIGHUP, as a job: a crash is logged and counted, and the task is not forgotten half-way."""

    async def step(_now: datetime) -> None:
        await reload(engine)

    engine.scheduler.once("reload", step)


async def _announce(engine: Engine, server: uvicorn.Server) -> None:
    """Tell the parent and the command line, once the API really listens."""
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.02)
    about: dict[str, str | int] = {"url": engine_url(engine.config), "pid": os.getpid()}
    if engine.config.engine.tls:
        about["certificate"] = str(engine.config.engine.tls.certificate.resolve())
    write_private(engine.data.engine_ready, json.dumps(about))
    log.info("engine ready", **about)
