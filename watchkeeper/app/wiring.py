"""Small facts that follow from the configuration alone, cheap to import."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from watchkeeper.app.paths import DataDir, default_data
from watchkeeper.config.schema import Config
from watchkeeper.errors import ConfigError

#: Listening on every address, and where such a server is found from this machine.
WILDCARDS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, never chosen


def data_dir(config: Config) -> DataDir:
    """``data:`` of the file, else $WATCHKEEPER_DATA, else the XDG state directory."""
    named = os.environ.get("WATCHKEEPER_DATA")
    return DataDir((config.data or (Path(named) if named else default_data())).expanduser().resolve())


def actuator_socket(config: Config, data: DataDir) -> Path:
    """Where engine and actuator meet."""
    return config.actuator.socket.expanduser() if config.actuator.socket else data.socket


def allowed_uids(config: Config) -> list[int]:
    """Numbers of the users in ``actuator.allowed_users``. Raises ConfigError for a name nobody has."""
    found = []
    for place, user in enumerate(config.actuator.allowed_users):
        try:
            found.append(user if isinstance(user, int) else pwd.getpwnam(user).pw_uid)
        except KeyError:
            key = f"actuator.allowed_users.{place}"
            raise ConfigError(f"this machine has no user {user!r}; write one it has, or a number", key=key) from None
    return found


def listen(text: str) -> tuple[str, int]:
    """``127.0.0.1:9700`` as (host, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def engine_url(config: Config) -> str:
    """How its own clients reach the engine: an engine on every address is asked on loopback."""
    scheme = "https" if config.engine.tls else "http"
    host, port = listen(config.engine.listen)
    host = WILDCARDS.get(host, host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def addresses(config: Config) -> list[tuple[str, str, int]]:
    """(key of the configuration, host, port) of everything that listens."""
    return [
        ("engine.listen", *listen(config.engine.listen)),
        ("dashboard.listen", *listen(config.dashboard.listen)),
    ]


def public_url(config: Config) -> str:
    """How people reach the dashboard."""
    if config.dashboard.public_url:
        return config.dashboard.public_url.rstrip("/")
    scheme = "https" if config.dashboard.tls else "http"
    return f"{scheme}://{config.dashboard.listen}"
