"""Filling a catalogue from what lies in a directory: blocks first, then what only the log knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from watchkeeper.model.series import FloatArray
from watchkeeper.store.samples.blocks import Block, FileSection
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Dense
from watchkeeper.store.samples.replay import Replay


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


def read_log(catalogue: Catalogue, replay: Replay, sizes: Sizes) -> Iterator[int]:
    """Take the log's newer ticks in; yields how many values each had, for the caller to keep memory low."""
    for tick in replay.ticks():
        target = catalogue.target(tick.target)
        if tick.time_ms > target.newest_ms:
            columns = replay.columns[tick.key]
            catalogue.own(target, columns)
            add_row(target, tick.time_ms, columns, tick.values(), sizes)
            yield tick.size


def add_row(target: TargetState, time_ms: int, columns: Columns, values: FloatArray, sizes: Sizes) -> None:
    """One row at the end of the target's head."""
    last = target.head[-1] if target.head else None
    if not isinstance(last, Dense) or last.columns is not columns or last.full:
        if isinstance(last, Dense):
            last.close()
        rows = sizes.chunk_bytes // (8 * max(len(columns), 1))
        last = Dense(columns, min(sizes.chunk_rows, max(rows, 16)))
        last.append(time_ms, values)
        target.head.append(last)
    else:
        last.append(time_ms, values)
    target.newest_ms = time_ms
