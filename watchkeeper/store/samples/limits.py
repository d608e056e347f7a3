"""What the store takes in, and how much of it rests in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Refusals: on by default, and on new series only. A series once kept is never dropped for a limit."""

    series: int = 2_000_000  #: series known to the store, all targets together
    target_series: int = 200_000  #: series of one target
    labels: int = 64  #: labels of one series, its name included
    label_bytes: int = 4096  #: UTF-8 bytes of one label value or label name
    future: timedelta = timedelta(minutes=10)  #: how far a timestamp may be ahead of the clock
    out_of_order: timedelta = timedelta(minutes=10)  #: how far a pushed sample may lie before its series' newest

    @property
    def out_of_order_ms(self) -> int:
        return round(self.out_of_order / timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How the store spends memory and disk. The defaults suit one machine; tests make them small."""

    segment_bytes: int = 16 * MIB  #: a log segment is followed by the next one at this size
    log_bytes: int = 1024 * MIB  #: log size at which blocks are cut early
    head_bytes: int = 256 * MIB  #: head memory at which blocks are cut early
    burst_bytes: int = 64 * MIB  #: values appended since the last upkeep that make an append do the upkeep itself
    pending_bytes: int = 64 * MIB  #: frames not yet on the disk; an append waits for the disk beyond this
    damaged_bytes: int = 64 * MIB  #: most that is kept of damaged bytes; beyond this they are counted only
    ballast_bytes: int = 1 * MIB  #: disk space held back for the state of the engine when the disk is full
    chunk_rows: int = 120  #: most rows of one dense chunk of the head
    chunk_bytes: int = 16 * MIB  #: most bytes of one dense chunk of the head
    dense_span: timedelta = timedelta(minutes=10)  #: the newest part of every target that stays uncompressed
    dense_most: timedelta = timedelta(minutes=70)  #: rows up to here stay so too, while all together fit in:
    dense_bytes: int = 40 * MIB  #: uncompressed rows beyond the newest part go first
    sync_seconds: float = 1.0  #: longest time an append stays off the disk
    grace: timedelta = timedelta(minutes=5)  #: how long after the end of its span a block is cut
