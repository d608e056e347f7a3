"""Where the demo lies: one folder of its own, begun anew at every start."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from watchkeeper.app.paths import DataDir, default_data, write_private
from watchkeeper.errors import ConfigError

#: Only a folder with this file in it is ever emptied.
MARK = ".watchkeeper-demo"
#: Longest path of a UNIX socket is 107 bytes, and HAProxy writes a temporary name of up to 12 more at first.
SOCKET_LIMIT = 94
#: Name of a cluster outside of the folder begins so.
CLUSTER = "watchkeeper-demo-postgres-"
PORTS = (
    "engine", "dashboard", "front", "figures", "primary", "backup", "payment", "storage", "traffic", "robot",
)  # fmt: skip


def default_folder() -> Path:
    """Beside the data of a real engine, never in it."""
    return default_data().with_name("watchkeeper-demo")


@dataclass(frozen=True, slots=True)
class Place:
    root: Path

    @property
    def data(self) -> DataDir:
        return DataDir(self.root / "data")

    @property
    def config(self) -> Path:
        return self.root / "watchkeeper.yaml"

    @property
    def rules(self) -> Path:
        return self.root / "rules"

    @property
    def shop(self) -> Path:
        return self.root / "shop.sqlite"

    @property
    def shop_address(self) -> Path:
        """Address of the shop's PostgreSQL; no such file where the shop lies in SQLite."""
        return self.root / "shop.postgres"

    def shop_server(self) -> str:
        return self.shop_address.read_text(encoding="utf-8") if self.shop_address.exists() else ""

    @property
    def postgres(self) -> Path:
        """The private cluster, or a link to it where this folder is closed to the account that it runs as."""
        return self.root / "postgres"

    @property
    def faults(self) -> Path:
        return self.root / "faults"

    @property
    def messages(self) -> Path:
        """What the robots were sent, one JSON object a line."""
        return self.root / "robot.jsonl"

    @property
    def volume(self) -> Path:
        """The folder that stands for a disk."""
        return self.root / "volume"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def haproxy_socket(self) -> Path:
        return self.root / "run" / "haproxy.sock"

    @property
    def supervisord_socket(self) -> Path:
        return self.root / "run" / "workers.sock"

    @property
    def plans(self) -> Path:
        return self.root / "plans"

    @property
    def switches(self) -> Path:
        """What of the shop is switched: written by the actuator, read by its services."""
        return self.root / "switches.json"

    @property
    def trial_switches(self) -> Path:
        """What rehearsals switch; nobody reads it."""
        return self.root / "trial.json"

    @property
    def bill(self) -> Path:
        return self.root / "bill.csv"

    @property
    def about_file(self) -> Path:
        return self.root / "demo.json"

    @property
    def password(self) -> Path:
        return self.root / "password"

    def claim(self) -> IO[str]:
        """Make the folder ours and lock it. Raises ConfigError when it is somebody else's, or a demo runs in it."""
        mark = self.root / MARK
        if self.root.exists() and any(self.root.iterdir()) and not mark.exists():
            raise ConfigError(f"{self.root} is not empty and not a folder of the demo; name another with --data")
        if len(os.fsencode(str(self.haproxy_socket))) > SOCKET_LIMIT:
            raise ConfigError(f"{self.root} is too long a path for sockets; name a shorter one with --data")
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.touch()
        return DataDir(self.root).lock("demo")

    def begin(self) -> None:
        """Empty the claimed folder and lay it out."""
        cluster = self.postgres.resolve()  # the one link that is followed: to a folder that only the demo makes
        if self.postgres.is_symlink() and cluster.name.startswith(CLUSTER):
            shutil.rmtree(cluster, ignore_errors=True)
        for found in self.root.iterdir():
            if found.name not in (MARK, "run"):
                shutil.rmtree(found) if found.is_dir() and not found.is_symlink() else found.unlink()
        for folder in (self.rules, self.plans, self.faults, self.volume, self.logs, self.root / "run"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in (self.haproxy_socket, self.supervisord_socket):
            stale.unlink(missing_ok=True)

    def tell(self, about: Mapping[str, Any]) -> None:
        """What other processes need to know of this run."""
        write_private(self.about_file, json.dumps(about))

    def about(self) -> dict[str, Any]:
        """Raises ConfigError when no demo was started here."""
        try:
            found: dict[str, Any] = json.loads(self.about_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ConfigError(f"no demo runs in {self.root}; start one with `watchkeeper demo`") from None
        return found


def free_ports() -> dict[str, int]:
    """One free loopback port for each name; all are held until all are known, so that no two are the same."""
    held = {name: socket.socket() for name in PORTS}
    try:
        for one in held.values():
            one.bind(("127.0.0.1", 0))
        return {name: int(one.getsockname()[1]) for name, one in held.items()}
    finally:
        for one in held.values():
            one.close()
