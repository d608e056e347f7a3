"""Time that does not jump: wall time less every jump seen, kept across restarts, for all of remediation's limits.

Where engines of several machines share a database, it is that of the database when one of them begins to act: their own
clocks may be minutes apart, and a cooldown must not depend on who looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.clock import from_ms, to_ms

#: Document in the state database.
KEY = "remediation/clock"
#: Wall and monotonic clock may differ by this much between two steps before it counts as a jump.
TOLERANCE = timedelta(seconds=2)
#: The document is written anew after this long.
KEEP_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """``now`` is steady. ``fresh_start``: what was observed before does not count any more."""

    now: datetime
    wall: datetime
    isolated: str = ""  #: why we only observe, empty when we may act
    fresh_start: bool = False


class Steady:
    """Feed it both clocks at every step."""

    def __init__(self, kept: Mapping[str, Any] | None, observe: timedelta, shared: datetime | None = None) -> None:
        """``shared``: what the database's own clock says now; None where this machine's is the only one."""
        self._shared = shared
        self._skew = timedelta(milliseconds=int((kept or {}).get("skew_ms", 0)))
        self._floor = from_ms(kept["wall_ms"]) if kept else None
        self._observe = observe
        self._last: tuple[datetime, float] | None = None
        self._quiet_until, self._why = float("-inf"), ""
        self._written: datetime | None = None

    def now(self, wall: datetime) -> datetime:
        """Steady time of a wall time of this moment."""
        return wall - self._skew

    def advance(self, wall: datetime, monotonic: float, gap: timedelta, asleep: float | None = None) -> Tick:
        """``gap``: a longer pause means that we slept. ``asleep``: the longest pause in seconds, by somebody who
        watches the process itself; without it the time between two steps is taken, and a slow step looks like sleep.
        """
        trouble = ""
        if self._last is None:
            if self._shared is not None:
                self._skew = wall - max(self._shared, self._floor - self._skew if self._floor else self._shared)
            elif self._floor is not None and wall < self._floor:  # the clock was set back while we were down
                self._skew += wall - self._floor
        else:
            slept = timedelta(seconds=monotonic - self._last[1])
            jump = (wall - self._last[0]) - slept
            if abs(jump) > TOLERANCE:
                self._skew += jump
                trouble = f"the clock jumped by {jump.total_seconds():.0f} s"
            elif (paused := slept if asleep is None else timedelta(seconds=asleep)) > gap:
                trouble = f"we were paused for {paused.total_seconds():.0f} s"
        self._last = (wall, monotonic)
        if trouble:
            self._quiet_until, self._why = monotonic + self._observe.total_seconds(), trouble
        quiet = monotonic < self._quiet_until
        return Tick(
            now=wall - self._skew,
            wall=wall,
            isolated=f"{self._why}: observing only" if quiet else "",
            fresh_start=bool(trouble),
        )

    def to_keep(self, wall: datetime, *, force: bool) -> dict[str, int] | None:
        """The document to write now, None when it is not yet time."""
        if not force and self._written is not None and abs(wall - self._written) < KEEP_EVERY:
            return None
        self._written = wall
        return {"skew_ms": round(self._skew / timedelta(milliseconds=1)), "wall_ms": to_ms(wall)}
