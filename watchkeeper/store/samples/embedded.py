"""The embedded sample store: one directory, one process, no server."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from watchkeeper.clock import Clock
from watchkeeper.errors import StoreError
from watchkeeper.model.series import Matcher
from watchkeeper.store.samples.aged import Aged, find_aged
from watchkeeper.store.samples.blocks import open_blocks
from watchkeeper.store.samples.catalogue import Catalogue
from watchkeeper.store.samples.copying import copy_store
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.ledger import Ledger
from watchkeeper.store.samples.limits import Limits, Sizes
from watchkeeper.store.samples.lists import SeriesLists
from watchkeeper.store.samples.lock import DirectoryLock
from watchkeeper.store.samples.log import Log
from watchkeeper.store.samples.opening import adopt, read_log
from watchkeeper.store.samples.pushed import Pushed
from watchkeeper.store.samples.replay import Replay
from watchkeeper.store.samples.sealing import seal_old
from watchkeeper.store.samples.space import Space
from watchkeeper.store.samples.ticking import Ticking
from watchkeeper.store.samples.tiers import Tiers
from watchkeeper.store.samples.upkeep import Keep, Upkeep

#: Kept without any option: half a month, as Prometheus keeps it.
RETENTION = timedelta(days=15)
#: How long aggregates are kept without any option, by the width of their buckets in milliseconds.
TIERS = {300_000: timedelta(days=90), 3_600_000: timedelta(days=730)}
#: Span of one block.
BLOCK_SPAN = timedelta(hours=2)


class EmbeddedStore(Ticking):
    """A SampleStore in one directory. Append from one thread, read from many; call ``maintain`` every minute.

    Opening always succeeds unless another process holds the directory: damaged bytes are set aside in ``damaged/``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        retention: timedelta = RETENTION,
        retention_bytes: int | None = None,
        limits: Limits | None = None,
        block_span: timedelta = BLOCK_SPAN,
        tiers: Mapping[int, timedelta] = TIERS,
        sizes: Sizes | None = None,
        disk: Disk | None = None,
    ) -> None:
        """Raises StoreError when another process holds the directory."""
        self._directory, self._clock, self._retention = directory, clock, retention
        self._limits, self._sizes, self._disk = limits or Limits(), sizes or Sizes(), disk or Disk()
        _make_directories(directory)
        self._held = DirectoryLock(directory)
        self._closed = False
        self._ledger, self._burst, self._lists = Ledger(), 0, SeriesLists()
        self._writing, self._maintaining = threading.Lock(), threading.Lock()
        super().__init__(Catalogue(self._limits), self._sizes, clock.monotonic)
        try:
            self._open(Keep(age=retention, size_bytes=retention_bytes, block_span=block_span), tiers)
        except BaseException:
            self._held.release()
            raise

    # --- opening ---

    def _open(self, keep: Keep, tiers: Mapping[int, timedelta]) -> None:
        self._damage = Damage(self._directory / "damaged", self._disk, self._sizes.damaged_bytes)
        self._space = Space(self._directory, self._disk, self._sizes.ballast_bytes)
        blocks = open_blocks(self._directory / "blocks", self._damage)
        adopt(self._catalogue, blocks, self._damage)
        replay = Replay(self._directory / "log", self._disk, self._damage, self._catalogue.take_blob)
        for size in read_log(self._catalogue, replay, self._pushed, self._sizes):
            self._relieve(size)
        self._torn_tails, self._replay_failures = replay.torn_tails, replay.fsync_failures
        sequence = max([replay.sequence, *(block.file.footer.sequence for block in blocks)])
        self._log = Log(
            self._directory / "log", disk=self._disk, sizes=self._sizes, sequence=sequence, closed=replay.segments
        )
        self._upkeep = Upkeep(
            self._directory / "blocks",
            catalogue=self._catalogue,
            log=self._log,
            disk=self._disk,
            damage=self._damage,
            space=self._space,
            sizes=self._sizes,
            keep=keep,
            blocks=blocks,
            tiers=Tiers(self._directory / "tiers", tiers, self._catalogue, self._disk, self._damage),
            pushed=self._pushed,
        )

    def _relieve(self, size: int) -> None:
        """While a long log is read back, keep memory low."""
        self._burst += 8 * size
        if self._burst > self._sizes.burst_bytes:
            self._burst = 0
            seal_old(self._catalogue, self._sizes)

    # --- aggregates ---

    def aged(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, resolution_ms: int) -> Aged | None:
        """Aggregates for what is older than the samples, of buckets up to ``resolution_ms`` where there are any.

        None where the samples reach.
        """
        if start_ms >= self._upkeep.tiers.aged_until_ms:
            return None
        return find_aged(self, self._catalogue, matchers, start_ms, end_ms, resolution_ms)

    # --- durability and upkeep ---

    def sync(self) -> int:
        """Wait until everything appended is on the disk; returns the durable sequence. Raises StoreError."""
        return self._log.sync()

    @property
    def durable_sequence(self) -> int:
        return self._log.durable_sequence

    def maintain(self, now: datetime) -> Mapping[str, int]:
        """Cut blocks, apply retention, seal old rows; returns counts. Disk errors are counted, not raised."""
        with self._maintaining:
            self._burst = 0
            return self._upkeep.run(now)

    def backup(self, destination: Path, *, link: bool = False) -> int:
        """A consistent copy that opens as a store; returns its bytes. Raises StoreError; the destination is new.

        It holds everything appended before the call. ``link``: second names instead of copies, where they can be had.
        """
        with self._maintaining:
            self._log.rotate()
            self._log.sync()
            blocks = [block.file.path for block in self._upkeep.blocks]
            return copy_store(
                destination,
                {"log": self._log.closed_segments(), "blocks": blocks, **self._upkeep.tiers.files()},
                link=link,
            )

    def stats(self) -> Mapping[str, int | float]:
        """Figures for telemetry; oldest_ms and newest_ms only while there is a sample.

        Ledger totals, failures and damage count from the opening of the store.
        """
        with self._catalogue.lock:
            figures = _head_figures(self._catalogue, self._pushed)
        log_bytes, block_bytes, tier_bytes = self._log.nbytes, self._upkeep.block_bytes(), self._upkeep.tiers.nbytes()
        return figures | {
            **self._ledger.totals(),
            "blocks": len(self._upkeep.blocks),
            "block_bytes": block_bytes,
            "tier_bytes": tier_bytes,
            "bytes": block_bytes + tier_bytes + log_bytes,
            "log_bytes": log_bytes,
            "damaged_frames": self._damage.frames,
            "torn_tails": self._torn_tails,
            "fsyncs": self._log.fsyncs,
            "fsync_failures": self._log.fsync_failures + self._replay_failures,
            "block_failures": self._upkeep.block_failures,
            "disk_full": int(self._space.full),
            "disk_full_times": self._space.full_times,
            "sequence": self._log.sequence,
            "durable_sequence": self._log.durable_sequence,
        }

    def close(self) -> None:
        """Make everything durable and let go of the directory. Raises StoreError when the disk refuses."""
        with self._writing, self._maintaining:
            if self._closed:
                return
            self._closed = True
            try:
                self._log.close()
            finally:
                self._held.release()


def _make_directories(directory: Path) -> None:
    try:
        for path in (directory, directory / "log", directory / "blocks"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot use {directory} for samples: {error.strerror}; choose another directory") from error


def _head_figures(catalogue: Catalogue, pushed: Pushed) -> dict[str, int | float]:
    targets = list(catalogue.targets.values())
    pieces = [piece for target in targets for piece in target.head]
    spans = [*(span for target in targets for span in target.bounds()), *pushed.bounds()]
    figures: dict[str, int | float] = {
        "series": len(catalogue.index),
        "targets": len(targets),
        "chunks": len(pieces),
        "samples_in_head": sum(len(piece.times) * len(piece.columns) for piece in pieces) + pushed.figures[0],
        "head_bytes": sum(piece.nbytes for piece in pieces) + pushed.figures[1],
    }
    if spans:
        figures |= {"oldest_ms": min(first for first, _ in spans), "newest_ms": max(last for _, last in spans)}
    return figures
