"""Filling a catalogue from what lies in a directory: blocks first, then what only the log knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from watchkeeper.store.samples.blocks import Block, FileSection
from watchkeeper.store.samples.catalogue import Catalogue
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pushed import Pushed, Samples
from watchkeeper.store.samples.records import PushedRecord
from watchkeeper.store.samples.replay import Replay
from watchkeeper.store.samples.rows import add_row


def adopt(catalogue: Catalogue, blocks: Sequence[Block], damage: Damage) -> None:
    """Every section of the blocks, under its target."""
    for block in blocks:
        for name, section in block.sections.items():
            catalogue.target(name).stored.append(section)
    for target in catalogue.targets.values():
        target.stored = in_order(target.stored, damage)
        target.blocked_ms = target.newest_ms = max(section.last_ms for section in target.stored)
    catalogue.look()


def in_order(sections: Sequence[FileSection], damage: Damage) -> list[FileSection]:
    """Sections by time. Of two that overlap, as only a file copied in by hand can, the later start is left out."""
    kept: list[FileSection] = []
    for section in sorted(sections, key=lambda section: section.first_ms):
        if kept and section.first_ms <= kept[-1].last_ms:
            damage.report(section.place, f"samples of {section.entry.target} are in an earlier block", b"")
        else:
            kept.append(section)
    return kept


def read_log(catalogue: Catalogue, replay: Replay, pushed: Pushed, sizes: Sizes) -> Iterator[int]:
    """Take in what only the log knows; yields how many values each record had, for the caller to keep memory low."""
    seen = set[int]()  #: a record is written twice where a disk refused to sync
    for tick in replay.records():
        if isinstance(tick, PushedRecord):
            if tick.sequence not in seen:
                seen.add(tick.sequence)
                yield _take_pushed(catalogue, replay, pushed, tick)
            continue
        target = catalogue.target(tick.target)
        if tick.time_ms > target.newest_ms:
            columns = replay.columns[tick.key]
            catalogue.own(target, columns)
            add_row(target, tick.time_ms, columns, tick.values(), sizes)
            yield tick.size


def _take_pushed(catalogue: Catalogue, replay: Replay, pushed: Pushed, record: PushedRecord) -> int:
    places, times, values = record.arrays()
    sids = np.concatenate([replay.columns[key].sids for key in record.keys])[places]
    with catalogue.lock:
        pushed.replay(Samples(sids, times, values))
        if pushed.due:
            pushed.flush(everything=True)
    return record.size
