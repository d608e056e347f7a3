"""What every probe shares: attempts with a time limit each, and blackbox_exporter's names for how it went."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import field
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import OutboundError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels

#: A host or a bracketed IPv6 address, and a port.
PLACE = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?P<host>[^\s:/@\[\]]+))(?::(?P<port>\d{1,5}))?")
#: (everything was as it should be, readings)
Tried = tuple[bool, list[Reading]]


@dataclass(kw_only=True, config=STRICT)
class Probe:
    """Tries until one attempt succeeds. A failing target is a result (``probe_success`` 0), no error."""

    KIND: ClassVar[str] = ""
    #: Seconds on top of ``timeout`` for a kind that keeps to it by itself, and then says where the time went.
    GRACE: ClassVar[float] = 0.0
    #: Nothing in it can outlast its time limits or cancellation, so that nobody needs to watch over it.
    keeps_time: ClassVar[bool] = False

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for one attempt
    attempts: int = Field(default=1, ge=1, le=100)  #: tries until the probe counts as failed
    attempt_interval: float = Field(default=10.0, ge=0, le=300)  #: seconds between tries
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; what is asked when empty

    def __post_init__(self) -> None:
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=self.place()
        )
        self._sheet = Sheet(f"{self.KIND}/{self.name}", self.target_labels)

    def place(self) -> str:
        """What is asked, without secrets."""
        raise NotImplementedError

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:
        """One try. TimeoutError, OSError and OutboundError are failures of the target."""
        raise NotImplementedError

    @property
    def bound(self) -> float:
        """Seconds that all attempts may take together."""
        return self.attempts * (self.timeout + self.attempt_interval)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        tries, good, readings = 0, False, list[Reading]()
        while not good and tries < self.attempts:
            if tries:
                await asyncio.sleep(self.attempt_interval)
            tries += 1
            good, readings = await self._tried(now, outbound)
        readings += [("probe_success", (), float(good)), ("probe_attempts", (), float(tries))]
        return Collected(ticks=[self._sheet.tick(now, readings)])

    def stale_tick(self, now: datetime) -> Tick | None:
        """When the probe itself could not run: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """Nothing is held between collections."""

    async def _tried(self, now: datetime, outbound: Outbound) -> Tried:
        began = time.monotonic()
        try:
            if self.keeps_time:
                good, readings = await self.attempt(now, outbound)
            else:
                async with asyncio.timeout(self.timeout + self.GRACE):
                    good, readings = await self.attempt(now, outbound)
        except TimeoutError:
            good, readings = failed("timeout")
        except OutboundError as error:
            good, readings = failed(error.reason)
        except OSError:
            good, readings = failed("connect")
        return good, [*readings, ("probe_duration_seconds", (), time.monotonic() - began)]


def failed(reason: str, readings: list[Reading] | None = None, **own: str) -> Tried:
    """A try that was not good; ``reason`` is one word of a bounded set, ``own`` further labels."""
    told: Reading = ("probe_failure_info", (("reason", reason), *own.items()), 1.0)
    return False, [*(readings or []), told]


def host_and_port(address: str, default_port: int | None = None) -> tuple[str, int]:
    """``host:port``, ``[v6]:port``, or a host alone where there is a usual port. Raises ValueError."""
    parts = PLACE.fullmatch(address)
    port = parts["port"] or default_port if parts else None
    if parts is None or port is None or not 0 < int(port) < 65536:
        raise ValueError("write a host and a port, for example 10.0.0.5:443 or [2001:db8::5]:443")
    return parts["host"] or parts["v6"], int(port)


def number(value: Any) -> float | None:
    """A figure out of somebody's JSON; None for what is no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
