"""Snapshots of a running engine: samples, log lines, state and the actuator's journal, for a backup to copy at leisure.

They are made inside the data directory under a name of the engine's own choice: no caller names a path. Samples and
lines get second names instead of copies, so that a snapshot takes moments and little room.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from datetime import datetime, timedelta
from pathlib import Path

from watchkeeper.app.engine import Engine
from watchkeeper.errors import StoreError
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.state.backup import backup as backup_state

#: A snapshot nobody fetched is dropped when the next one is made, at this age.
FORGOTTEN = timedelta(hours=6)
NAME = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{8}")
STAMP = "%Y%m%dT%H%M%SZ"

_one = threading.Lock()


def take(engine: Engine, now: datetime) -> tuple[str, int]:
    """(name, bytes of samples and lines) of a new snapshot. Raises StoreError.

    The journal is copied last: the engine learns from it what the actuator did after the state was copied.
    """
    store, data = engine.samples, engine.data
    if not isinstance(store, EmbeddedStore):
        raise StoreError("the samples are in a store of their own: back it up with that store's tools")
    if not engine.state.is_sqlite:
        raise StoreError("the state is in a database of its own: back it up with that database's tools")
    with _one:
        _drop_forgotten(data.snapshots, now)
        name = f"{now.strftime(STAMP)}-{secrets.token_hex(4)}"
        place = data.snapshots / name
        try:
            place.mkdir(mode=0o700, parents=True)
            size = store.backup(place / "samples", link=True)
            size += engine.lines.store.backup(place / "lines", link=True)
            backup_state(engine.state, place / data.state.name)
            if data.kill_switch.exists():  # what was stopped stays stopped after a restore
                shutil.copy2(data.kill_switch, place / data.kill_switch.name)
            shutil.copytree(data.actuator, place / "actuator", ignore=shutil.ignore_patterns("*.sock", "*.new"))
        except (OSError, shutil.Error) as error:
            shutil.rmtree(place, ignore_errors=True)
            raise StoreError(f"a snapshot in {data.snapshots} failed: {error}") from error
        except StoreError:
            shutil.rmtree(place, ignore_errors=True)
            raise
    return name, size


def drop(folder: Path, name: str) -> bool:
    """Whether there was such a snapshot; it is gone now."""
    if NAME.fullmatch(name) is None or not (folder / name).is_dir():
        return False
    shutil.rmtree(folder / name)
    return True


def _drop_forgotten(folder: Path, now: datetime) -> None:
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        found = NAME.fullmatch(path.name)
        if found and found[1] < (now - FORGOTTEN).strftime(STAMP):
            drop(folder, path.name)
