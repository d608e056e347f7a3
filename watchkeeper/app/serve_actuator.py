"""The actuator process: the only one that changes anything outside."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from remediation.actuator import serve
from remediation.settings import Settings
from watchkeeper.app.targets import remediation_settings
from watchkeeper.app.wiring import actuator_socket, allowed_uids, data_dir
from watchkeeper.config import default_path, load
from watchkeeper.telemetry import set_up_logging


def serve_actuator(config: Path | None) -> None:
    """Run until SIGINT or SIGTERM."""
    loaded = load(config or default_path())
    data = data_dir(loaded.config).create()
    set_up_logging(data.logs / "actuator.log", process="actuator")
    settings = remediation_settings(loaded)
    socket, uids = actuator_socket(loaded.config, data), allowed_uids(loaded.config)
    lock = data.lock("actuator")
    try:
        asyncio.run(_serve(socket, data.journal, settings, data.kill_switch, uids))
    finally:
        lock.close()


async def _serve(socket: Path, journal: Path, settings: Settings, kill_switch: Path, uids: Sequence[int]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await serve(socket, journal, settings.targets, kill_switch, allowed_uids=uids, stop=stopping)
