"""Upkeep of the store: cutting blocks, dropping what retention allows, sealing old rows.

Runs in one thread at a time. It takes the catalogue's lock only to look and to publish; packing and writing happen
outside it, so that appends and reads go on.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import structlog

from watchkeeper.clock import to_ms
from watchkeeper.store.samples.blocks import Block, Part, open_block, write_block
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.holes import PUSHED
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.log import NO_SPACE, Log
from watchkeeper.store.samples.pieces import Dense, Sealed
from watchkeeper.store.samples.pushed import Pushed
from watchkeeper.store.samples.sealing import dense_from_ms, seal_old
from watchkeeper.store.samples.space import Space
from watchkeeper.store.samples.tiers import DAY_MS, Tiers

logger = structlog.get_logger(__name__)

#: A boundary after every time: "cut all there is".
EVERYTHING_MS = 1 << 62

Plan = dict[int, dict[str, list[Part]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What retention allows."""

    age: timedelta
    size_bytes: int | None  #: blocks, aggregates and log together; None for no bound
    block_span: timedelta


class Upkeep:
    """Holds the blocks; ``run`` is the step."""

    def __init__(
        self,
        directory: Path,
        *,
        catalogue: Catalogue,
        log: Log,
        disk: Disk,
        damage: Damage,
        space: Space,
        sizes: Sizes,
        keep: Keep,
        blocks: Sequence[Block],
        tiers: Tiers,
        pushed: Pushed,
    ) -> None:
        self._directory, self._catalogue, self._log, self._disk = directory, catalogue, log, disk
        self._damage, self._space, self._sizes, self._keep, self.tiers = damage, space, sizes, keep, tiers
        self._pushed = pushed
        self.blocks: Sequence[Block] = sorted(blocks, key=lambda block: block.last_ms)  #: replaced whole, never changed
        self._span_ms = round(keep.block_span / timedelta(milliseconds=1))
        self._boundary_ms = max((block.file.footer.boundary_ms for block in blocks), default=-1)
        self.block_failures = 0

    def run(self, now: datetime) -> dict[str, int]:
        """Cut, drop, seal. A disk error is counted and leaves everything as it was, for the next run to try again."""
        done: Counter[str] = Counter()
        with self._catalogue.lock:
            self._pushed.flush()
        try:
            done["blocks_cut"] = self._cut(now)
            done["days_rolled_up"] = self.tiers.roll_up(self._boundary_ms // DAY_MS * DAY_MS)
            done["blocks_dropped"] = self._retain(now) + self.tiers.retain(now, self._keep.size_bytes)
            done["segments_dropped"] = self._log.drop_covered(self._covered)
        except OSError as error:
            self.block_failures += 1
            done["failures"] = 1
            logger.error("samples.upkeep_failed", path=str(self._directory), error=str(error))
            if error.errno in NO_SPACE:
                self._space.found_full()
        if not self._space.full:
            self._space.hold()
        done["head_evicted"] = self._evict(now)
        done["sealed"] = seal_old(self._catalogue, self._sizes)  # last: what went to a block needs no sealing
        self.tiers.look()
        with self._catalogue.lock:
            self._catalogue.unload()
            done["series_forgotten"] = self._catalogue.forget()
        return dict(done)

    # --- blocks ---

    def _cut(self, now: datetime) -> int:
        """Write the rows of finished spans as blocks, one per span; returns how many."""
        boundary = to_ms(now - self._sizes.grace) // self._span_ms * self._span_ms
        crowded = self.head_bytes() > self._sizes.head_bytes or self._log.nbytes > self._sizes.log_bytes
        if crowded:
            boundary = EVERYTHING_MS
        elif boundary <= self._boundary_ms:
            return 0
        with self._catalogue.lock:
            plan = self._plan(boundary)
        for span, targets in sorted(plan.items()):
            self._write(span, targets)
        if not crowded:
            self._boundary_ms = boundary
        if plan:
            self._log.rotate()
        return len(plan)

    def _plan(self, boundary_ms: int) -> Plan:
        """Rows of the head that are in no block and lie before the boundary, by span and target."""
        plan: Plan = {}
        for target in self._catalogue.targets.values():
            for piece in target.head:
                times = piece.times
                low = int(np.searchsorted(times, target.blocked_ms, "right"))
                high = int(np.searchsorted(times, boundary_ms, "left"))
                while low < high:
                    span = int(times[low]) // self._span_ms
                    end = min(high, int(np.searchsorted(times, (span + 1) * self._span_ms, "left")))
                    part = Part(piece, low, end, times[low:end])
                    plan.setdefault(span, {}).setdefault(target.name, []).append(part)
                    low = end
        return plan

    def _write(self, span: int, targets: dict[str, list[Part]]) -> None:
        path = self._directory / f"{span * self._span_ms:015d}-{secrets.token_hex(4)}.block"
        boundary = (span + 1) * self._span_ms
        write_block(path, self._disk, targets, sequence=self._log.sequence, boundary_ms=boundary)
        with self._catalogue.lock:
            block = open_block(path, self._damage)
            self.blocks = sorted([*self.blocks, block], key=lambda block: block.last_ms)
            for name, section in block.sections.items():
                target = self._catalogue.targets[name]
                target.stored.append(section)
                target.blocked_ms = section.last_ms
            self._catalogue.look()

    def _evict(self, now: datetime) -> int:
        """Drop pieces of the head that are in blocks, sealed or no longer new; returns how many."""
        old_ms, done = to_ms(now - self._sizes.dense_span), 0
        with self._catalogue.lock:
            targets = list(self._catalogue.targets.values())
            old_ms = min(old_ms, dense_from_ms(targets, self._sizes, to_ms(now)))
            for target in targets:
                keep = 0
                while keep < len(target.head) and _evictable(target, target.head[keep], old_ms):
                    keep += 1
                target.head = target.head[keep:]
                done += keep
        return done

    # --- retention ---

    def _retain(self, now: datetime) -> int:
        """Unlink blocks that are too old, and the oldest while the store is too large; returns how many."""
        oldest_ms, done = to_ms(now - self._keep.age), 0
        while self.blocks and (self.blocks[0].last_ms < oldest_ms or self._too_large()):
            self._drop(self.blocks[0])
            done += 1
        return done

    def _too_large(self) -> bool:
        return self._keep.size_bytes is not None and self.nbytes() > self._keep.size_bytes

    def _drop(self, block: Block) -> None:
        self.tiers.cover(block, max(block.file.footer.boundary_ms, self._boundary_ms))
        self._disk.unlink(block.file.path)
        with self._catalogue.lock:
            self.blocks = [other for other in self.blocks if other is not block]
            for name, section in block.sections.items():
                target = self._catalogue.targets[name]
                target.stored.remove(section)
                if target.empty:
                    self._catalogue.drop_target(target)

    def _covered(self, name: str, last_ms: int) -> bool:
        """Whether a target's rows up to here are in blocks, or were and have been dropped since."""
        with self._catalogue.lock:
            if name == PUSHED:
                return last_ms < min(self._pushed.oldest_ms(), self._oldest_pushed_ms())
            target = self._catalogue.targets.get(name)
            return target is None or last_ms <= target.blocked_ms

    def _oldest_pushed_ms(self) -> int:
        """Of the pushed rows that are in no block yet."""
        oldest = 1 << 62
        for target in self._catalogue.targets.values():
            for piece in target.head if target.pushed and target.newest_ms > target.blocked_ms else ():
                if piece.last_ms > target.blocked_ms:
                    times = piece.times
                    oldest = min(oldest, int(times[np.searchsorted(times, target.blocked_ms, "right")]))
                    break
        return oldest

    # --- figures ---

    def head_bytes(self) -> int:
        with self._catalogue.lock:
            return sum(piece.nbytes for target in self._catalogue.targets.values() for piece in target.head)

    def block_bytes(self) -> int:
        return sum(block.file.size for block in self.blocks)

    def nbytes(self) -> int:
        """On disk: blocks, aggregates and log."""
        return self.block_bytes() + self.tiers.nbytes() + self._log.nbytes


def _evictable(target: TargetState, piece: Dense | Sealed, old_ms: int) -> bool:
    return piece.last_ms <= target.blocked_ms and (isinstance(piece, Sealed) or piece.last_ms < old_ms)
