"""A source that is no longer wanted."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from watchkeeper.app.pipeline.collect import Collecting, Source, gone
from watchkeeper.app.schedule import Scheduler


class Holder(Protocol):
    """An engine or an agent."""

    @property
    def scheduler(self) -> Scheduler: ...

    @property
    def sources(self) -> dict[str, Source]: ...

    @property
    def collecting(self) -> Collecting: ...


async def drop(holder: Holder, name: str, now: datetime) -> None:
    """Its series end now, not five minutes later."""
    holder.scheduler.remove(f"collect/{name}")
    source = holder.sources.pop(name)
    ends = list(getattr(source.collector, "stale_ticks", lambda _now: [])(now))
    last = gone(source, now)
    await holder.collecting.append_derived(name, [*ends, *([last] if last is not None else [])])
    await source.collector.close()
