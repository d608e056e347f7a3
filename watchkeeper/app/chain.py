"""Does the audit's chain hold, and does it still contain every head that was sent to a second place?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from watchkeeper.errors import ConfigError
from watchkeeper.store.state import State

Head = tuple[int, str]
#: Pages are told of a chain that was read whole at most this long ago: reading it costs its length.
FRESH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The chain as it was read whole, from the first row to the last."""

    at: datetime
    rows: int
    head: str
    broken_at: int | None = None  #: first row that does not fit
    missing: Head | None = None  #: a head kept elsewhere whose row is gone or another one now
    heads: int = 0  #: heads kept elsewhere that were compared
    unread: str = ""  #: why the file of heads could not be read

    @property
    def intact(self) -> bool:
        return self.broken_at is None and self.missing is None


def verify(state: State, heads: Sequence[Head], now: datetime, *, unread: str = "") -> Verified:
    """Reads every row; nobody waits for it."""
    with state.read() as unit:
        broken, newest = unit.audit.verify(), unit.audit.head()
        missing = next((one for one in heads if not unit.audit.remembers(one)), None)
    return Verified(
        at=now,
        rows=newest[0],
        head=newest[1],
        broken_at=broken,
        missing=missing,
        heads=len(heads),
        unread=unread,
    )


class Chain:
    """The chain's last verification, made anew when it is old or a person asks. Thread-safe."""

    def __init__(self, state: State, heads_file: Path | None) -> None:
        self._state, self._file, self._lock = state, heads_file, Lock()
        self._last: Verified | None = None

    def look(self, now: datetime, *, anew: bool = False) -> Verified:
        with self._lock:
            if self._last is None or anew or not timedelta(0) <= now - self._last.at < FRESH:
                heads, unread = self._kept()
                self._last = verify(self._state, heads, now, unread=unread)
            return self._last

    def _kept(self) -> tuple[list[Head], str]:
        if self._file is None or not self._file.exists():  # nothing was sent yet
            return [], ""
        try:
            return heads_in(self._file), ""
        except ConfigError as error:
            return [], str(error)


def heads_in(file: Path) -> list[Head]:
    """Lines of ``time row hash``. Raises ConfigError naming the line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{file}: {why}; without it a cut tail does not show") from None
    return [head_of(":".join(line.split()[1:3]), f"{file}:{number}") for number, line in enumerate(lines, 1) if line]


def head_of(text: str, place: str) -> Head:
    row, _, digest = text.partition(":")
    if not row.isdigit() or not digest:
        raise ConfigError(f"{place}: {text!r} is no head; write ROW:HASH")
    return int(row), digest
