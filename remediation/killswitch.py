"""The kill switch: a latch kept in a file and in the state database. Either one set is set; unreadable is set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import AccessError, StoreError

if TYPE_CHECKING:
    from watchkeeper.store.state.database import State
    from watchkeeper.store.state.repositories import Unit

#: Document in the state database.
KEY = "remediation/kill_switch"
#: The reason is shown up to this length.
MAX_REASON = 500


def file_says(path: Path) -> str:
    """Why the file sets the switch, empty when it does not. What cannot be read is set."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with open(descriptor, errors="replace") as file:
            text = file.read(MAX_REASON).strip()
    except FileNotFoundError:
        return "" if path.parent.is_dir() else f"the folder {path.parent} cannot be read"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return text or f"the file {path} exists"


class KillSwitch:
    """Any operator sets it; only an admin with a reason clears it. Each half alone keeps it set."""

    def __init__(self, path: Path, state: State) -> None:
        self._path, self._state = path, state

    def reason(self) -> str:
        """Why nothing may be executed, empty when all may. A half that was set alone is copied to the other."""
        by_file = file_says(self._path)
        try:
            with self._state.read() as unit:
                kept = unit.documents.get(KEY) or {}
        except StoreError as error:
            return f"the state database cannot be read: {error}"
        if by_file and self._was_cleared(by_file, kept):
            self._path.unlink(missing_ok=True)
            by_file = ""
        by_database = str(kept.get("reason", "set")) if kept.get("set") else ""
        if by_database and not by_file:
            try:
                self._write(by_database)
            except OSError as error:
                return f"{by_database} (and {self._path} cannot be written: {error.strerror})"
        return by_database or by_file

    def _was_cleared(self, by_file: str, kept: Mapping[str, Any]) -> bool:
        """True for the copy that an engine elsewhere made of what an admin has cleared since."""
        if kept.get("set") or kept.get("was", "")[:MAX_REASON].strip() != by_file:
            return False
        try:
            written = self._path.stat().st_mtime
        except OSError:
            return False
        return written <= datetime.fromisoformat(kept["at"]).timestamp()

    def latch(self, now: datetime) -> str:
        """As ``reason``, and a file put there by hand is written to the database: removing it clears nothing.

        A half that only could not be read sets the switch for as long as that lasts.
        """
        why = self.reason()
        if why and os.path.lexists(self._path) and not self._is_kept():
            with self._state.begin() as unit:
                if not (unit.documents.get(KEY) or {}).get("set"):
                    self._keep(unit, "file", file_says(self._path) or why, now)
        return why

    def _is_kept(self) -> bool:
        with self._state.read() as unit:
            return bool((unit.documents.get(KEY) or {}).get("set"))

    def set(self, user: str, reason: str, now: datetime) -> None:
        """The file first: the actuator looks there even when the database is gone."""
        self._write(f"{user}: {reason}")
        with self._state.begin() as unit:
            self._keep(unit, user, f"{user}: {reason}", now)

    def clear(self, user: str, reason: str, now: datetime, *, admin: bool) -> None:
        if not admin:
            raise AccessError("only an admin clears the kill switch")
        if not reason.strip():
            raise AccessError("clearing the kill switch needs a written reason")
        with self._state.begin() as unit:
            kept = unit.documents.get(KEY) or {}
            was = str(kept.get("reason", "")) if kept.get("set") else file_says(self._path)
            cleared = {"set": False, "by": user, "reason": reason, "at": now.isoformat(), "was": was}
            unit.documents.put(KEY, cleared, at=now)
            unit.audit.append(user, "kill_switch.clear", "remediation", {"reason": reason}, at=now)
        self._path.unlink(missing_ok=True)

    def _keep(self, unit: Unit, user: str, reason: str, now: datetime) -> None:
        unit.documents.put(KEY, {"set": True, "by": user, "reason": reason, "at": now.isoformat()}, at=now)
        unit.audit.append(user, "kill_switch.set", "remediation", {"reason": reason}, at=now)

    def _write(self, reason: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, reason[:MAX_REASON].encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
