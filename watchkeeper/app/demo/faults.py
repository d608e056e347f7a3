"""Faults by name: one file each while it is on, which the service concerned reads; each ends by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    what: str  #: what breaks, for the terminal; pages have texts of their own
    expect: str  #: what a visitor will see
    lasts: float  #: seconds until it mends itself, so that a demo left alone becomes healthy again
    needs: str = ""  #: the server without which nothing would mend it: haproxy, supervisord


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            "checkout-primary",
            "kills the primary copy of the checkout API; it is started again after 75 s",
            "traffic moves to the backup in seconds, is verified, and goes back by itself",
            75.0,
            "haproxy",
        ),
        Fault(
            "carrier-down",
            "the carrier's API answers errors, and quotes end in a 502",
            "a contingency plan: degraded to cached quotes once you approve, users told, back when the carrier is",
            150.0,
        ),
        Fault("slow-api", "shipping quotes take 16 to 19 s", "an early alert, SlowAPIResponse after 3 minutes", 600.0),
        Fault(
            "payment-failures",
            "a third of the payments fails",
            "a contingency plan: orders stop, the backup pays",
            600.0,
        ),
        Fault(
            "queue-backlog",
            "a campaign: 120 jobs at once and 8 a second for a minute",
            "workers go from 2 to 8, the queue drains, and calm brings them back one by one",
            60.0,
            "supervisord",
        ),
        Fault("disk-fill", "the volume of 64 MiB fills by 256 KiB a second", "a warning before it is full", 600.0),
        Fault("error-burst", "a third of the purchases ends in a 500", "an early alert, then HighErrorRate", 600.0),
        Fault("log-storm", "300 error lines a second", "an alert about the rate of log lines", 600.0),
    )
}


class Faults:
    """The faults that are on. Every process of the estate looks at the same folder."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock

    def break_(self, name: str) -> float:
        """Turn it on, from now; the time at which it began. Raises ConfigError for a name nobody knows."""
        known(name)
        now = self._clock()
        temporary = self._folder / f".{name}.{os.getpid()}"
        temporary.write_text(repr(now), encoding="utf-8")
        temporary.replace(self._folder / name)
        return now

    def heal(self, name: str) -> bool:
        """Turn it off; False when it was off. Raises ConfigError for a name nobody knows."""
        known(name)
        was = self.since(name) is not None
        (self._folder / name).unlink(missing_ok=True)
        return was

    def since(self, name: str) -> float | None:
        """When it was turned on (seconds since the epoch), None while it is off or when its time is over."""
        try:
            began = float((self._folder / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return began if self._clock() - began < FAULTS[name].lasts else None

    def on(self, name: str) -> bool:
        return self.since(name) is not None


def known(name: str) -> Fault:
    """Raises ConfigError naming the known ones."""
    if name not in FAULTS:
        raise ConfigError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
    return FAULTS[name]
