"""``watchkeeper doctor``: what usually goes wrong, looked at one by one."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.app.catalogue import read
from watchkeeper.app.client import Client, ClientError
from watchkeeper.app.wiring import data_dir, listen
from watchkeeper.config import Loaded, default_path
from watchkeeper.errors import ConfigError

#: Less free space than this is too little.
MIN_FREE_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    ok: bool
    detail: str


def examine(config: Path | None) -> list[Finding]:
    """All findings, in the order to mend them."""
    try:
        path = config or default_path()
        loaded = read(path)
    except ConfigError as error:
        return [Finding("configuration", ok=False, detail=str(error))]
    where = "built-in defaults: this host is watched" if path is None else str(path)
    return [
        Finding("configuration", ok=True, detail=where),
        _python(),
        _space(loaded),
        _writable(loaded),
        *_engine(loaded),
        _clock(),
    ]


def _python() -> Finding:
    text = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", sys.version_info >= (3, 11), f"{text} (3.11 or newer is needed)")


def _space(loaded: Loaded) -> Finding:
    root = data_dir(loaded.config).root
    free = shutil.disk_usage(_existing(root)).free
    return Finding("disk space", free >= MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free for {root}")


def _writable(loaded: Loaded) -> Finding:
    root = data_dir(loaded.config).root
    allowed = os.access(_existing(root), os.W_OK)
    return Finding("data directory", allowed, f"{root} {'can' if allowed else 'cannot'} be written by this user")


def _existing(root: Path) -> Path:
    """The deepest folder on the way to ``root`` that this user can see."""
    return next(folder for folder in (root, *root.parents) if os.path.exists(folder))  # noqa: PTH110 - never raises


def _engine(loaded: Loaded) -> list[Finding]:
    """A running engine's health, or whether its addresses are free for one."""
    root = data_dir(loaded.config).root
    try:
        client = Client.of(root)
        status, rows = client.get("/api/wk/status"), client.get("/api/wk/collectors")["collectors"]
    except ClientError as error:
        free = [_port(name, getattr(loaded.config, name).listen) for name in ("engine", "dashboard")]
        return [Finding("engine", ok=True, detail=str(error)), *free]
    failing = [f"{row['name']} ({row['error']})" for row in rows if row["state"] == "failing"]
    detail = f"{len(rows)} sources, all reading" if not failing else "failing: " + "; ".join(failing)
    lag = float(status["loop_lag_seconds"])
    return [
        Finding("engine", ok=True, detail=f"version {status['version']} is running"),
        Finding("collectors", not failing, detail),
        Finding("event loop", lag < 1.0, f"{lag * 1000:.0f} ms late"),
    ]


def _port(name: str, address: str) -> Finding:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        taken = probe.connect_ex(listen(address)) == 0
    return Finding(f"{name} address", not taken, f"{address} is {'taken by another program' if taken else 'free'}")


def _clock() -> Finding:
    year = time.gmtime().tm_year
    return Finding("clock", 2026 <= year < 2100, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))
