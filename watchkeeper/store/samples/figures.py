"""What a store on disk is made of: spans, series, samples and bytes of every block and of the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.model import metric_name
from watchkeeper.store.samples.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """One block. ``samples`` counts the places of its matrices, gaps included."""

    file: str
    first_ms: int
    last_ms: int
    targets: int
    series: int
    samples: int
    bytes: int


@dataclass(slots=True)
class Figures:
    first_ms: int | None = None
    last_ms: int | None = None
    series: int = 0
    targets: int = 0
    blocks: list[BlockFigures] = field(default_factory=list)
    log_bytes: int = 0
    log_samples: int = 0  #: in no block yet
    tier_bytes: dict[str, int] = field(default_factory=dict)  #: of aggregates, by the width of their buckets
    damaged: int = 0
    metrics: list[tuple[str, int]] = field(default_factory=list)  #: names with the most series, most first

    @property
    def block_bytes(self) -> int:
        return sum(block.bytes for block in self.blocks)

    @property
    def block_samples(self) -> int:
        return sum(block.samples for block in self.blocks)

    @property
    def bytes_per_sample(self) -> float | None:
        """Of the blocks; None while there is none."""
        return self.block_bytes / self.block_samples if self.block_samples else None


def stat(directory: Path, *, metrics: int = 10) -> Figures:
    """Figures of a directory, an engine may be running on it. Raises StoreError when this is no store."""
    snapshot = Snapshot(directory)
    figures = Figures(series=snapshot.series_count(), targets=len(snapshot.names()))
    bounds = snapshot.bounds()
    if bounds is not None:
        figures.first_ms, figures.last_ms = bounds
    for block in snapshot.blocks:
        entries = block.file.footer.entries
        figures.blocks.append(
            BlockFigures(
                file=block.file.path.name,
                first_ms=block.first_ms,
                last_ms=block.last_ms,
                targets=len(entries),
                series=sum(entry.columns for entry in entries),
                samples=sum(entry.columns * entry.rows for entry in entries),
                bytes=block.file.size,
            )
        )
    figures.log_bytes = sum(segment.size for segment in snapshot.replay.segments)
    figures.log_samples, figures.damaged = snapshot.head_samples(), snapshot.damage.frames
    for path in sorted((directory / "tiers").glob("*/*.block")):
        figures.tier_bytes[path.parent.name] = figures.tier_bytes.get(path.parent.name, 0) + path.stat().st_size
    names = Counter(metric_name(labels) for labels in snapshot.series([], -(1 << 60), 1 << 60))
    figures.metrics = names.most_common(metrics)
    return figures
