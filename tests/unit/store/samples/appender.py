"""A process that appends until it is killed and prints every sequence once it is durable.

The values of a tick follow from its number, so whoever reads the store afterwards knows what must be there.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from support.samples import NOON, SMALL, tick, wide

from watchkeeper.clock import ManualClock
from watchkeeper.model import Tick
from watchkeeper.store.samples import EmbeddedStore

SHAPE = wide(50)
#: Between two ticks: ten days of them are more than two hundred lives write.
STEP = timedelta(seconds=2)


def numbered(number: int) -> Tick:
    """Tick ``number``, a step after the one before."""
    at = NOON + number * STEP
    return tick(at, SHAPE, [float(number * 1000 + place) for place in range(len(SHAPE))])


def main(directory: Path, first: int) -> None:
    clock = ManualClock(NOON + timedelta(days=10))
    store = EmbeddedStore(directory, clock=clock, sizes=SMALL, block_span=timedelta(minutes=30))
    print("ready", flush=True)
    number = first
    while True:
        for _ in range(5):
            assert store.append(numbered(number)).stored == len(SHAPE)
            number += 1
        store.sync()
        print(number - 1, flush=True)
        if number % 200 < 5:
            store.maintain(clock.advance(1800))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
