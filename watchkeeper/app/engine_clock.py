"""An agent's clock: this machine's, or the engine's time where this machine's is wrong.

Samples of a clock that is 40 minutes ahead would be refused by the engine (`future`), those of one that is behind would
stand in the past, where no rule looks for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from watchkeeper.app.link import EngineLink
from watchkeeper.app.pipeline.sending import SendError
from watchkeeper.clock import Clock, from_ms, to_ms
from watchkeeper.errors import StoreError
from watchkeeper.model import Tick
from watchkeeper.ports import Appended
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.telemetry import logger

log = logger(__name__)

#: How often the engine is asked for its time, and how long it may take before the first sample.
EVERY, FIRST = timedelta(seconds=15), 3.0
#: Answers of a server that knows no such question: an engine of before, another store.
WITHOUT = ("http_400", "http_404", "http_405", "json")
#: Differences up to this are let be: rules and pages do not see them.
TOLERATED = timedelta(seconds=30)


class EngineClock:
    """``now`` is the engine's time, carried on by the monotonic clock, while the machine's differs too much."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._held: tuple[datetime, float] | None = None  #: the engine's time, and the monotonic clock then
        self.ahead: timedelta | None = None  #: of the machine's clock before the engine's; None: not known yet

    @property
    def wrong(self) -> bool:
        """The machine's clock is not used."""
        return self._held is not None

    def now(self) -> datetime:
        held = self._held
        return self._own.now() if held is None else held[0] + timedelta(seconds=self._own.monotonic() - held[1])

    def monotonic(self) -> float:
        return self._own.monotonic()

    def told(self, engine: datetime, asked: float) -> bool:
        """The engine said its time to a question of that monotonic time; True when ``now`` has stepped back."""
        before, answered = self.now(), self._own.monotonic()
        there = engine + timedelta(seconds=(answered - asked) / 2)
        ahead, was_wrong = self._own.now() - there, self.wrong
        self._held = (there, answered) if abs(ahead) > TOLERATED else None
        self.ahead = ahead
        if was_wrong != self.wrong:
            said = "this clock is wrong: samples bear the engine's time" if self.wrong else "this clock is right again"
            log.warning(said, ahead_seconds=round(ahead.total_seconds(), 1))
        return before - self.now() > TOLERATED


class ClockKeeper:
    """Asks the engine for its time."""

    def __init__(self, clock: EngineClock, link: EngineLink) -> None:
        self._clock, self._link = clock, link

    async def first(self) -> None:
        """Before anything is collected; an engine that does not answer soon is asked again later."""
        with contextlib.suppress(TimeoutError, SendError):
            async with asyncio.timeout(FIRST):
                await self.step()

    async def step(self) -> bool:
        """True when the clock has stepped back. Raises SendError when the engine cannot be asked."""
        asked = self._clock.monotonic()
        try:
            async with self._link.opened() as ask:
                answer = await ask("GET", "clock")
            return self._clock.told(from_ms(answer["now_ms"]), asked)
        except SendError as error:
            if error.reason not in WITHOUT:
                raise
        except (LookupError, TypeError, ValueError, OverflowError):
            pass
        self._clock.ahead = self._clock.ahead or timedelta()
        return False


class SampleQueue:
    """The store as it is appended to. Of each target it takes rising times only: after a step back they are others."""

    def __init__(self, samples: EmbeddedStore, clock: Clock) -> None:
        self._samples, self._clock, self._suffix = samples, clock, ""

    def begin(self, now: datetime) -> None:
        """What is appended from now on lies before what was."""
        self._suffix = f"@{to_ms(now)}"

    def append_all(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]:
        if self._suffix:
            now_ms = to_ms(self._clock.now())  # what was under way while the clock stepped has a time of before
            ticks = [
                dataclasses.replace(tick, target=tick.target + self._suffix, time_ms=min(tick.time_ms, now_ms))
                for tick in ticks
            ]
        return self._samples.append_all(ticks)
