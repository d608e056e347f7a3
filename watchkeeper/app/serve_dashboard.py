"""The dashboard process: pages over the engine's API; it holds no database and no credential."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from dashboard.app import create
from dashboard.page import Page
from dashboard.settings import Settings
from watchkeeper.app.quiet_server import quiet_server
from watchkeeper.app.wiring import data_dir, engine_url, public_url
from watchkeeper.config import default_path, load
from watchkeeper.telemetry import set_up_logging


def serve_dashboard(config: Path | None, pages: Sequence[Page] = ()) -> None:
    """Run until SIGINT or SIGTERM. ``pages`` come after the dashboard's own."""
    loaded = load(config or default_path())
    data = data_dir(loaded.config).create()
    set_up_logging(data.logs / "dashboard.log", process="dashboard")
    settings = Settings(
        engine_url=engine_url(loaded.config),
        engine_ca_file=loaded.config.engine.tls.certificate if loaded.config.engine.tls else None,
        proof_file=data.dashboard_proof,
        listen=loaded.config.dashboard.listen,
        public_url=public_url(loaded.config),
        refresh_seconds=loaded.config.dashboard.refresh.total_seconds(),
        secure_cookies=loaded.config.dashboard.tls is not None,
        language=loaded.config.language,
        time_zone=loaded.config.time_zone,
    )
    section = loaded.config.dashboard
    server = quiet_server(create(settings, pages=pages), section.listen, section.tls, proxied=bool(section.public_url))
    asyncio.run(_serve(server))


async def _serve(server: object) -> None:
    import uvicorn

    assert isinstance(server, uvicorn.Server)
    loop = asyncio.get_running_loop()

    def leave() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
    await server.serve()
