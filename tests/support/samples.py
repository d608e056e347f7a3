"""Builders and a faulty disk for the tests of the sample store."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import STALE_NAN, Labels, Layout, Matcher, Tick, labels
from watchkeeper.ports import Appended, SampleReader
from watchkeeper.store.samples import EmbeddedStore, Limits, Sizes
from watchkeeper.store.samples.disk import Disk

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
#: Small enough that a few dozen ticks pass through every form samples take.
SMALL = Sizes(
    segment_bytes=4096,
    chunk_rows=8,
    dense_span=timedelta(minutes=2),
    dense_bytes=0,
    ballast_bytes=4096,
    sync_seconds=0.05,
)
EVER = (-(1 << 60), 1 << 60)

Stored = dict[tuple[Labels, int], int]


def layout(*names: str) -> Layout:
    return Layout(tuple(labels(name, job="test") for name in names))


def wide(size: int, prefix: str = "m") -> Layout:
    return layout(*(f"{prefix}{place}" for place in range(size)))


def tick(at: datetime, shape: Layout, values: Sequence[float], target: str = "web") -> Tick:
    return Tick(target=target, time_ms=to_ms(at), layout=shape, values=np.array(values, dtype=np.float64))


def bits_of(value: float) -> int:
    return int(np.array([value]).view(np.uint64)[0])


def contents(store: SampleReader, matchers: Sequence[Matcher] = ()) -> Stored:
    """Every sample a store gives back, as bits; a sample given back twice fails."""
    found: Stored = {}
    for matrix in store.select(matchers, *EVER):
        assert (np.diff(matrix.times) > 0).all()
        assert np.isnan(matrix.values[~matrix.present]).all()
        bits = np.ascontiguousarray(matrix.values).view(np.uint64)
        for row, column in zip(*np.nonzero(matrix.present), strict=True):
            key = (matrix.series[row], int(matrix.times[column]))
            assert key not in found
            found[key] = int(bits[row, column])
    return found


def sent_by(ticks: Sequence[Tick]) -> Stored:
    """What a store must give back after these ticks."""
    stale = bits_of(STALE_NAN)
    return {
        (series, one.time_ms): bits
        for one in ticks
        for series, bits in zip(one.layout.series, one.values.view(np.uint64).tolist(), strict=True)
        if bits != stale
    }


def assert_balanced(figures: Mapping[str, int | float]) -> None:
    """received = stored + deduplicated + sum of rejected{reason}."""
    assert figures["received"] == figures["stored"] + figures["deduplicated"] + figures["rejected"]
    assert figures["rejected"] == sum(count for name, count in figures.items() if name.startswith("rejected_"))


def assert_line_balanced(line: Appended) -> None:
    assert line.received == line.stored + line.deduplicated + sum(line.rejected.values())


class FaultyDisk(Disk):
    """Real files on which chosen operations fail."""

    def __init__(self) -> None:
        self.room: int | None = None  #: bytes that may still be written; None is no bound
        self.failing_syncs = 0  #: how many of the next syncs fail
        self.failing_truncates = False
        self.syncs = 0

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self.room is None:
            return super().write(descriptor, data)
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = super().write(descriptor, data[: self.room])
        self.room -= done
        return done

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        if self.failing_syncs:
            self.failing_syncs -= 1
            raise OSError(errno.EIO, "Input/output error")
        super().sync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        if self.failing_truncates:
            raise OSError(errno.EIO, "Input/output error")
        super().truncate(descriptor, size)

    def free_bytes(self, path: Path) -> int:
        return super().free_bytes(path) if self.room is None else self.room


class Bench:
    """A store under a manual clock, with what was sent to it; reopen it as often as you like."""

    def __init__(
        self,
        directory: Path,
        *,
        limits: Limits | None = None,
        sizes: Sizes = SMALL,
        disk: Disk | None = None,
        retention: timedelta = timedelta(days=15),
        retention_bytes: int | None = None,
        block_span: timedelta = timedelta(hours=2),
        tiers: Mapping[int, timedelta] | None = None,
    ) -> None:
        self.directory, self.clock, self.sent = directory, ManualClock(NOON), list[Tick]()
        self._limits, self._sizes, self._disk, self._span = limits, sizes, disk, block_span
        self._retention, self._retention_bytes, self._tiers = retention, retention_bytes, tiers or {}
        self.store = self.open()

    def open(self) -> EmbeddedStore:
        self.store = EmbeddedStore(
            self.directory,
            clock=self.clock,
            limits=self._limits,
            sizes=self._sizes,
            disk=self._disk,
            retention=self._retention,
            retention_bytes=self._retention_bytes,
            block_span=self._span,
            tiers=self._tiers,
        )
        return self.store

    def reopen(self) -> EmbeddedStore:
        self.store.close()
        return self.open()

    def send(self, shape: Layout, values: Sequence[float], *, after: float = 15.0, target: str = "web") -> Appended:
        one = tick(self.clock.advance(after), shape, values, target)
        line = self.store.append(one)
        assert_line_balanced(line)
        assert_balanced(self.store.stats())
        if line.stored:
            self.sent.append(one)
        return line

    def run(self, shape: Layout, ticks: int, *, after: float = 15.0, target: str = "web") -> None:
        """Ticks of counters, decimals, constants, noise, NaN and gaps."""
        random = np.random.default_rng(len(self.sent))
        for _ in range(ticks):
            self.send(shape, mixture(random, len(shape), len(self.sent)), after=after, target=target)

    def check(self) -> None:
        """Everything sent is there, bit for bit, and nothing else."""
        assert contents(self.store) == sent_by(self.sent)
        assert_balanced(self.store.stats())

    def maintain(self) -> Mapping[str, int]:
        return self.store.maintain(self.clock.now())


def mixture(random: np.random.Generator, size: int, step: int) -> list[float]:
    kinds = [
        float(step * 7),
        round(float(random.random()) * 100, 2),
        5.0,
        float(random.random()),
        float("nan") if step % 5 == 0 else 1.0,
        STALE_NAN if step % 7 == 0 else float(step),
        -0.0,
        1e300 * (step + 1),
    ]
    return [kinds[place % len(kinds)] for place in range(size)]
