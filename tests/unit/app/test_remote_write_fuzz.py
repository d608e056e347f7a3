"""Broken bodies of remote write: never a crash, never more memory than a request may take, every one counted."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import psutil
import pytest
from support.engines import engine
from support.remote_write import first, second

from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.model import labels
from watchkeeper.wire import snappy
from watchkeeper.wire.errors import WireError

#: What the process may grow by over all bodies.
MOST_GROWTH = 300 << 20


def seeds(house: Engine) -> list[tuple[bytes, bool]]:
    """(packed request, whether of version 2.0)"""
    at = to_ms(house.clock.now())
    samples = [(labels("m", row=str(row), 名="值" * row), at + row, row / 3) for row in range(6)]
    about = b"\x1a\x0d\x08\x02\x12\x02up\x22\x03abc\x2a\x00"
    return [
        (first(*samples, more=about), False),
        (first(*samples[:1]), False),
        (second(*samples, histograms=[b"\x08\x01"], exemplars=[b"\x08\x01"]), True),
    ]


def mutated(chance: random.Random, packed: bytes) -> bytes:
    """The packed bytes or their content with a few changes."""
    inside = chance.random() < 0.7
    data = bytearray(snappy.unpack(packed, 1 << 20) if inside else packed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        kind = chance.randrange(5)
        if kind == 0 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at : at + chance.randint(1, 20)]
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.randint(1, 12))
        elif kind == 3:
            data[at:at] = data[at : at + chance.randint(1, 60)]
        else:
            data[at : at + 5] = b"\xff\xff\xff\xff\x0f"
    return snappy.compress(bytes(data)) if inside else bytes(data)


def run(house: Engine, bodies: int, seed: int, until: float = float("inf")) -> int:
    """How many were tried."""
    chance, found = random.Random(seed), seeds(house)
    process, tried = psutil.Process(), 0
    before = process.memory_info().rss
    for _ in range(bodies):
        if time.monotonic() > until:
            break
        packed, newer = chance.choice(found)
        body = mutated(chance, packed)
        tried += 1
        try:
            house.receiving.write(body, second=newer)
        except WireError:
            continue
    counted = sum(
        sample.value
        for family in house.telemetry.remote_writes.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )
    assert counted == tried
    told = house.telemetry.ledger()
    assert told["received"] == told["stored"] + told["deduplicated"] + sum(told["rejected"].values())
    assert told["in_flight"] == 0
    assert process.memory_info().rss - before < MOST_GROWTH
    return tried


def test_two_hundred_broken_bodies(tmp_path: Path) -> None:
    with engine(tmp_path) as house:
        assert run(house, 200, seed=7) == 200


@pytest.mark.long
def test_a_hundred_thousand_broken_bodies(tmp_path: Path) -> None:
    seed, budget = random.SystemRandom().randrange(1 << 32), float(os.environ.get("LONG_SECONDS", "3600"))
    print(f"seed {seed}")
    with engine(tmp_path) as house:
        print(f"{run(house, 100_000, seed, time.monotonic() + budget / 2)} bodies")
