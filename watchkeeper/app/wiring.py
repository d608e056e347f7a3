"""Small facts that follow from the configuration alone, cheap to import."""

from __future__ import annotations

import os
from pathlib import Path

from watchkeeper.app.paths import DataDir, default_data
from watchkeeper.config.schema import Config


def data_dir(config: Config) -> DataDir:
    """``data:`` of the file, else $WATCHKEEPER_DATA, else the XDG state directory."""
    named = os.environ.get("WATCHKEEPER_DATA")
    return DataDir((config.data or (Path(named) if named else default_data())).expanduser().resolve())


def listen(text: str) -> tuple[str, int]:
    """``127.0.0.1:9700`` as (host, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def engine_url(config: Config) -> str:
    scheme = "https" if config.engine.tls else "http"
    return f"{scheme}://{config.engine.listen}"


def public_url(config: Config) -> str:
    """How people reach the dashboard."""
    if config.dashboard.public_url:
        return config.dashboard.public_url.rstrip("/")
    scheme = "https" if config.dashboard.tls else "http"
    return f"{scheme}://{config.dashboard.listen}"
