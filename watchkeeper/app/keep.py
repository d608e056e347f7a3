"""Backup and restore of a whole data directory."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from watchkeeper.app.client import Client, ClientError
from watchkeeper.app.paths import DataDir
from watchkeeper.app.wiring import data_dir
from watchkeeper.config import default_path, load
from watchkeeper.errors import ConfigError
from watchkeeper.store.logs.checking import line_files
from watchkeeper.store.state import State, sqlite_url
from watchkeeper.store.state.backup import backup as backup_state

#: What a backup holds: file -> SHA-256, checked by restore.
MANIFEST = "manifest.json"


def backup(config: Path | None, destination: Path) -> str:
    """Copy samples, log lines, state and the actuator's journal into a new folder; the engine may be running or not."""
    loaded = load(config or default_path())
    data = data_dir(loaded.config)
    if destination.exists() and any(destination.iterdir()):
        raise ConfigError("is not empty; name a new folder", file=str(destination))
    if loaded.config.store.state.url.get_secret_value():
        raise ConfigError(
            "the state is in a database of its own: back it up with that database's tools", key="store.state"
        )
    try:
        held = data.create().lock("engine")
    except ConfigError as error:
        how = _of_running(data, destination, error)
    else:
        with held, data.lock("actuator"):
            how = _of_stopped(data, destination)
    sums = _sums(destination)
    (destination / MANIFEST).write_text(json.dumps(sums, indent=1, sort_keys=True), encoding="utf-8")
    return f"{len(sums)} files in {destination}, {how}"


def _of_stopped(data: DataDir, destination: Path) -> str:
    destination.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copytree(data.samples, destination / "samples", ignore=shutil.ignore_patterns("*.lock", "lock"))
    shutil.copytree(data.lines, destination / "lines", ignore=shutil.ignore_patterns("*.lock", "lock", "*.tmp"))
    shutil.copytree(data.actuator, destination / "actuator", ignore=shutil.ignore_patterns("*.sock"))
    if data.kill_switch.exists():  # what was stopped stays stopped after a restore
        shutil.copy2(data.kill_switch, destination / data.kill_switch.name)
    if data.state.exists():
        state = State(sqlite_url(data.state))
        try:
            backup_state(state, destination / data.state.name)
        finally:
            state.close()
    return "of a stopped engine"


def _of_running(data: DataDir, destination: Path, held: ConfigError) -> str:
    """Ask the engine for a snapshot of one moment, copy it, and check the copy. Raises ``held`` when none answers."""
    try:
        client = Client.of(data.root)
    except ClientError:
        raise held from None
    name = str(client.post("/api/wk/snapshots", {})["name"])
    source = data.snapshots / name
    try:
        destination.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copytree(source, destination, dirs_exist_ok=True)
        if _sums(source) != _sums(destination):
            raise ConfigError("the copy differs from what was copied; look at this disk", file=str(destination))
    finally:
        client.raw("DELETE", f"/api/wk/snapshots/{name}")
    return "of the running engine"


def restore(config: Path | None, source: Path) -> str:
    """Put a backup, checked file by file, where the data directory is to be."""
    loaded = load(config or default_path())
    data = data_dir(loaded.config)
    wanted = _manifest(source)
    found = _sums(source)
    wrong = sorted(name for name in wanted if found.get(name) != wanted[name])
    if wrong:
        raise ConfigError(f"{wrong[0]} is missing or damaged; this backup cannot be trusted", file=str(source))
    if data.state.exists() or (data.samples.exists() and any(data.samples.iterdir())) or line_files(data.lines):
        raise ConfigError("holds data already; move it away first", file=str(data.root))
    with data.create().lock("engine"), data.lock("actuator"):
        for name in wanted:
            target = data.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target)
    return f"{len(wanted)} files restored into {data.root}"


def _manifest(source: Path) -> dict[str, str]:
    try:
        found = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"is not a backup: {error}", file=str(source)) from None
    if not isinstance(found, dict):
        raise ConfigError(f"is not a backup: {MANIFEST} is no list of files", file=str(source))
    return {str(name): str(digest) for name, digest in found.items()}


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
