"""Python's garbage collector in a process that holds millions of things that stay.

A full collection looks at every one of them. With ten thousand sources that took half a second, several times a minute,
in which nothing else ran. So what survived one is not looked at again until ``look_at_all``; whatever is no longer
referred to is given back at once as ever, for that needs no collector.
"""

from __future__ import annotations

import gc
from datetime import datetime, timedelta

from watchkeeper.app.schedule import Scheduler, every

#: How often everything is looked at: things that refer to each other and to which nothing else does any more.
ALL_EVERY = timedelta(hours=6)
#: Things made and not yet given back before the young ones are looked at; and how many such looks before the next
#: older ones are. With Python's own 700 what is under way anyhow was looked at again and again: 30 µs of each probe.
YOUNG, MIDDLE, OLD = 20_000, 10, 10
_OLDEST = 2


def settle(scheduler: Scheduler) -> None:
    """From now on, in this process; what is there already is taken to stay."""
    gc.callbacks.append(keep_survivors)
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    gc.freeze()
    scheduler.add("garbage", every(ALL_EVERY, scheduler.clock.now() + ALL_EVERY), look_at_all)


def keep_survivors(phase: str, info: dict[str, int]) -> None:
    """What is left after a full collection stays."""
    if phase == "stop" and info["generation"] == _OLDEST:
        gc.freeze()


async def look_at_all(_now: datetime) -> None:
    """A step."""
    gc.unfreeze()
    gc.collect()
