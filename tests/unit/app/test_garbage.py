"""What survived a collection is left alone until everything is looked at."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from watchkeeper.app import garbage
from watchkeeper.app.schedule import Scheduler
from watchkeeper.clock import ManualClock
from watchkeeper.telemetry import Telemetry


class Ring:
    """Refers to itself: only the collector can give it back."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture
def settled() -> Iterator[tuple[Scheduler, ManualClock]]:
    thresholds = gc.get_threshold()
    clock = ManualClock(datetime.now(UTC))
    scheduler = Scheduler(clock, Telemetry())
    garbage.settle(scheduler)
    yield scheduler, clock
    gc.callbacks.remove(garbage.keep_survivors)
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def test_what_survived_is_left_alone_and_given_back_in_the_end(settled: tuple[Scheduler, ManualClock]) -> None:
    scheduler, clock = settled
    kept = Ring()
    last = weakref.ref(kept)
    gc.collect()
    del kept
    gc.collect()
    assert last() is not None, "it was there at a full collection"
    await scheduler.advance(clock, clock.now() + garbage.ALL_EVERY)
    assert last() is None


@pytest.mark.usefixtures("settled")
def test_what_is_made_and_dropped_between_collections_is_given_back_as_ever() -> None:
    gc.collect()
    made = Ring()
    last = weakref.ref(made)
    del made
    gc.collect()
    assert last() is None


@pytest.mark.usefixtures("settled")
def test_a_collection_of_the_young_alone_keeps_nothing() -> None:
    gc.collect()
    frozen = gc.get_freeze_count()
    gc.collect(1)
    assert gc.get_freeze_count() == frozen
