"""Where things lie inside the data directory."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from watchkeeper.errors import ConfigError


def default_data() -> Path:
    """``$XDG_STATE_HOME/watchkeeper``, else ~/.local/state/watchkeeper."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "watchkeeper"


@dataclass(frozen=True, slots=True)
class DataDir:
    root: Path

    def create(self) -> DataDir:
        """Every folder is there afterwards. Raises ConfigError when this user cannot make one."""
        try:
            for folder in (self.root, self.samples, self.actuator, self.lines, self.logs, self.run):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unusable(error) from None
        return self

    def _unusable(self, error: OSError) -> ConfigError:
        why = f"{self.root} cannot be used by this user: {error.strerror}"
        return ConfigError(f"{why}; name a folder that it may write, or run as the owner of this one", key="data")

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    @property
    def lines(self) -> Path:
        """Log lines that were collected."""
        return self.root / "lines"

    @property
    def templates(self) -> Path:
        """Kinds of log lines that were learned."""
        return self.root / "templates.json"

    @property
    def scored(self) -> Path:
        """What the scoring remembers of every target."""
        return self.root / "scored"

    @property
    def entities(self) -> Path:
        """What is usual for users, addresses, machines and services."""
        return self.root / "entities.json"

    @property
    def remote_samples(self) -> Path:
        """Head and spool of a sample store on a server."""
        return self.root / "remote"

    @property
    def snapshots(self) -> Path:
        """Consistent states of the running engine, on their way into a backup."""
        return self.root / "snapshots"

    @property
    def state(self) -> Path:
        return self.root / "state.sqlite"

    @property
    def actuator(self) -> Path:
        return self.root / "actuator"

    @property
    def socket(self) -> Path:
        return self.actuator / "actuator.sock"

    @property
    def journal(self) -> Path:
        return self.actuator / "journal"

    @property
    def kill_switch(self) -> Path:
        """This file's existence is the kill switch: anybody with a shell can set it."""
        return self.root / "kill-switch"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def engine_ready(self) -> Path:
        return self.run / "engine.json"

    @property
    def cli_token(self) -> Path:
        return self.root / "cli.token"

    @property
    def dashboard_proof(self) -> Path:
        """What the dashboard shows the engine to be believed about a visitor's address; gives no other right."""
        return self.root / "dashboard.proof"

    @property
    def setup_secret(self) -> Path:
        return self.root / "setup-secret"

    def lock(self, name: str) -> IO[str]:
        """Held until the file is closed. Raises ConfigError when another process has it or this user may not."""
        try:
            self.run.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = open(self.run / f"{name}.lock", "a+", encoding="utf-8")  # noqa: SIM115 - the open file is the lock
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            handle.close()
            raise ConfigError(
                f"{self.root} is in use by {holder}; stop it, or give this one its own `data:` folder"
            ) from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        return handle


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    temporary = path.with_suffix(".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
