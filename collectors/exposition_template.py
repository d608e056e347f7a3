"""A page without its values: what the next page is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray, IntArray

from .exposition_index import Columns
from .exposition_lines import PARTS, Lines, byte_strings, cut, floats, line_ends, line_starts, take


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A page without its values."""

    lengths: IntArray  #: of what must come again exactly: key and space of a sample, the whole of any other line
    fixed: Any  #: Arrow's byte strings as ``cut`` gives them, values empty
    values_at: IntArray  #: places of the samples' values among them
    columns: Columns | None  #: which of the values are kept, None when all are, in order
    rejected: Mapping[str, int]

    def values(self, body: bytes) -> FloatArray | None:
        """The values of a page of exactly this shape, None when it has another one."""
        import pyarrow.compute as pc

        ends = line_ends(body)
        if len(ends) != len(self.lengths):
            return None
        at = line_starts(ends) + self.lengths
        if (at > ends).any():
            return None
        parts = cut(body, ends, at)
        # All but the values are the same: the values of samples are no numbers when they are empty too
        if pc.equal(parts, self.fixed).true_count != len(parts) - len(self.values_at):
            return None
        values, wrong = floats(take(parts, self.values_at))
        return None if wrong else values


def learn(lines: Lines, columns: Columns, samples: BoolArray, rejected: Mapping[str, int]) -> Template:
    """The template of a page whose sample lines are all plain; ``columns`` of each line, negative when not kept."""
    at = np.where(samples, lines.last_word, lines.ends)
    step = np.zeros(len(lines.body) + 1, np.int8)
    step[at] += 1
    step[lines.ends] -= 1  # a value that is empty begins and ends in one place
    fixed = np.frombuffer(lines.body, np.uint8)[np.cumsum(step[:-1], dtype=np.int8) == 0]
    sizes = np.zeros((len(lines), PARTS), np.int64)
    sizes[:, 0] = lengths = at - lines.starts
    sizes[:, -1] = 1
    sizes[-1:, -1] = len(lines.body) - lines.ends[-1:]
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    kept = columns[samples]
    rows = first_of_each(kept)
    return Template(
        lengths=lengths,
        fixed=byte_strings(fixed.data, bounds),
        values_at=PARTS * np.flatnonzero(samples) + 1,
        columns=None if len(rows) == len(kept) and np.array_equal(rows, np.arange(len(kept))) else rows,
        rejected=rejected,
    )


def first_of_each(columns: Columns) -> Columns:
    """Where each column stands first, by column; refused lines left out."""
    kept = np.flatnonzero(columns >= 0)
    first = np.full(int(columns.max(initial=-1)) + 1, -1, np.intp)
    first[columns[kept[::-1]]] = kept[::-1]  # of several the last assignment stays
    found: Columns = first[first >= 0]
    return found
