"""A page without its values: what the next page is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import compress, islice

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray

from .exposition_index import Columns

#: Lines taken apart at a time: their memory is used again for the next ones and stays in the processor's cache.
BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A run of lines of a page, without their values."""

    lines: int
    is_sample: list[bool]
    is_other: list[bool]
    others: list[bytes]  #: comments and empty lines with their line ends, which must come again exactly
    keys: list[bytes]  #: what stands before each value, with the space


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A page without its values."""

    blocks: list[Block]
    samples: int
    fixed_bytes: int  #: length of the page without its values and their line ends
    columns: Columns | None  #: which of the values are kept, None when all are, in order
    rejected: Mapping[str, int]

    def values(self, body: bytes) -> FloatArray | None:
        """The values of a page of exactly this shape, None when it has another one."""
        values = np.empty(self.samples, np.float64)
        page, done, size = BytesIO(body), 0, self.fixed_bytes
        for block in self.blocks:
            lines = list(islice(page, block.lines))
            if len(lines) != block.lines:
                return None
            if block.others:
                if list(compress(lines, block.is_other)) != block.others:
                    return None
                lines = list(compress(lines, block.is_sample))
            rests = list(map(bytes.removeprefix, lines, block.keys))
            joined = b"".join(rests)
            size += len(joined)
            if b"_" in joined:
                return None
            try:
                values[done : done + len(rests)] = np.fromiter(map(float, rests), np.float64, len(rests))
            except ValueError:
                return None
            done += len(rests)
        return values if size == len(body) and done == self.samples else None


def learn(body: bytes, columns: Columns, samples: BoolArray, rejected: Mapping[str, int]) -> Template:
    """The template of a page whose sample lines are all plain; ``columns`` of each line, negative when not kept."""
    raw, blocks, start = BytesIO(body), list[Block](), 0
    while lines := list(islice(raw, BLOCK)):
        is_sample = samples[start : start + len(lines)].tolist()
        is_other = [not sample for sample in is_sample]
        blocks.append(
            Block(
                lines=len(lines),
                is_sample=is_sample,
                is_other=is_other,
                others=list(compress(lines, is_other)),
                keys=[line.rpartition(b" ")[0] + b" " for line in compress(lines, is_sample)],
            )
        )
        start += len(lines)
    kept = columns[samples]
    rows = first_of_each(kept)
    fixed = sum(len(text) for block in blocks for text in (*block.others, *block.keys))
    return Template(
        blocks=blocks,
        samples=len(kept),
        fixed_bytes=fixed,
        columns=None if len(rows) == len(kept) and np.array_equal(rows, np.arange(len(kept))) else rows,
        rejected=rejected,
    )


def first_of_each(columns: Columns) -> Columns:
    """Where each column stands first, by column; refused lines left out."""
    kept = np.flatnonzero(columns >= 0)
    first: Columns = kept[np.unique(columns[kept], return_index=True)[1]]
    return first
