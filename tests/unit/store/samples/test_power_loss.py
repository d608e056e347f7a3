"""Power loss: whatever legal state the disk is left in, the store opens and holds all that was acknowledged."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.power import RecordingDisk, lay_out
from support.samples import NOON, SMALL, Bench, Stored, contents, layout, sent_by, wide

from watchkeeper.clock import ManualClock
from watchkeeper.store.samples import EmbeddedStore

SIZES = replace(SMALL, ballast_bytes=64, sync_seconds=60.0)


def recorded(directory: Path, disk: RecordingDisk) -> Bench:
    """A working day in little: two targets, changing layouts, blocks, dropped segments, dropped blocks."""
    bench = Bench(directory, disk=disk, sizes=SIZES, block_span=timedelta(minutes=10), retention=timedelta(minutes=40))
    chance = random.Random(1)
    for turn in range(120):
        bench.run(wide(20 + turn // 40), 1, after=30)
        if turn % 3 == 0:
            bench.run(layout("other"), 1, after=1, target="db")
        if chance.random() < 0.4:
            bench.store.sync()
            disk.acknowledge(len(bench.sent))
        if turn % 10 == 0:
            bench.maintain()
    bench.store.close()
    return bench


def acknowledged_at(bench: Bench, disk: RecordingDisk, position: int) -> Stored:
    """Samples acknowledged before this position, without those that retention may have begun to drop by then."""
    number = max((count for when, count in disk.acknowledged if when < position), default=0)
    newest = bench.sent[number - 1].time_ms
    return {key: bits for key, bits in sent_by(bench.sent[:number]).items() if key[1] >= newest - 30 * 60_000}


def cut_power(tmp_path: Path, states: int, seed: int) -> None:
    disk, chance = RecordingDisk(), random.Random(seed)
    bench = recorded(tmp_path / "real", disk)
    whole = sent_by(bench.sent)
    seen_blocks = checked = 0
    for turn in range(states):
        position = chance.randint(1, disk.position + 1)
        place = tmp_path / f"state{turn}"
        lay_out(disk.after_power_cut(position, chance), tmp_path / "real", place)
        store = EmbeddedStore(
            place, clock=ManualClock(NOON + timedelta(hours=2)), sizes=SIZES, block_span=timedelta(minutes=10)
        )
        found = contents(store)
        seen_blocks += int(store.stats()["blocks"])
        store.close()
        assert found.items() <= whole.items(), (seed, turn, position)
        safe = acknowledged_at(bench, disk, position)
        assert safe.items() <= found.items(), (seed, turn, position)
        checked += len(safe)
        shutil.rmtree(place)
    assert seen_blocks > 0
    assert checked > 100 * states


def test_what_was_acknowledged_survives_power_loss(tmp_path: Path) -> None:
    cut_power(tmp_path, states=80, seed=20261122)


@pytest.mark.long
def test_what_was_acknowledged_survives_twenty_thousand_power_losses(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    cut_power(tmp_path, states=20_000, seed=seed)
