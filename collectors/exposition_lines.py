"""A whole page cut into lines, and all its numbers read, in a few passes over its bytes.

Python objects for 50,000 lines cost more than everything else that is done with them, so lines stay places in the page
here. Arrow compares and converts byte ranges in bulk without copying them. Its ``to_numpy`` and its scalars are not
used: both load pandas, 40 MB, for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import FloatArray, IntArray

from .exposition_line import MAX_NUMBER, number

Words = npt.NDArray[np.uint64]
Views = npt.NDArray[np.complex128]

#: Texts converted at a time: one odd text sends so many through Python.
RUN = 8192
#: Parts of a line after ``cut``: what stands before the value, the value, the line end.
PARTS = 3
#: Bytes of a word.
WORD = 8
#: Bytes that Arrow holds a view's string within: a longer one stays where it is.
INLINE = 12
_NEWLINE, _SPACE = 10, 32


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines as places in a page; arrays are of shape [lines], in bytes from its start."""

    body: bytes
    starts: IntArray
    ends: IntArray  #: of the line's text; its line end, if it has one, comes after
    last_word: IntArray  #: where what stands behind the last space begins; the start of a line without spaces

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, line: int) -> bytes:
        """One line with its line end."""
        return self.body[int(self.starts[line]) : int(self.ends[line]) + 1]


def find_lines(body: bytes) -> Lines:
    page = np.frombuffer(body, np.uint8)
    marks = np.flatnonzero(page <= _SPACE)
    kinds = page[marks]
    if (kinds == _SPACE).sum() + (kinds == _NEWLINE).sum() < len(marks):  # tabs and the like are text here
        marks = marks[(kinds == _SPACE) | (kinds == _NEWLINE)]
        kinds = page[marks]
    at = np.flatnonzero(kinds == _NEWLINE)
    ends = marks[at]
    if body and not body.endswith(b"\n"):
        ends, at = np.append(ends, len(body)), np.append(at, len(marks))
    last_word = np.append(marks, -1)[at - 1] + 1  # behind a space, or behind the line before; -1 takes the last: -1
    return Lines(body, line_starts(ends), ends, last_word)


def line_ends(body: bytes) -> IntArray:
    """Where the text of each line ends."""
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == _NEWLINE)
    return np.append(ends, len(body)) if body and not body.endswith(b"\n") else ends


def unaligned(data: bytes | memoryview) -> Words:
    """The eight bytes from each place on."""
    return np.ndarray((max(len(data) - WORD + 1, 0),), np.uint64, data, 0, (1,))


def line_starts(ends: IntArray) -> IntArray:
    return np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1])


def cut(body: bytes, ends: IntArray, at: IntArray) -> Any:
    """The page as an Arrow array of ``PARTS`` byte strings a line, its value starting ``at``; nothing is copied.

    ``at`` lies between the start and the end of its line.
    """
    bounds = np.empty(PARTS * len(ends) + 1, np.int64)
    bounds[0], bounds[1::PARTS], bounds[2::PARTS], bounds[3::PARTS] = 0, at, ends, ends + 1
    bounds[-1] = min(int(bounds[-1]), len(body))
    return byte_strings(body, bounds)


def byte_strings(data: bytes | memoryview, bounds: IntArray) -> Any:
    """Arrow's array of the strings between neighbouring bounds."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(np.ascontiguousarray(bounds, np.int64)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)


def views(data: bytes, starts: IntArray, sizes: IntArray) -> Views:
    """What Arrow wants to know of each string of a ``binary_view``; all longer than INLINE.

    The size and the first four bytes, the number of the buffer and the place in it (Arrow's columnar format): 16 bytes,
    for which numpy has no other type that it moves as one.
    """
    found = np.empty((len(starts), 2), np.uint64)
    found[:, 0] = sizes.astype(np.uint64) | unaligned(data)[starts] << np.uint64(32)
    found[:, 1] = starts.astype(np.uint64) << np.uint64(32)
    return found.reshape(-1).view(np.complex128)


def viewed(data: bytes, said: Views) -> Any:
    """Arrow's array of the strings of these views; nothing is copied."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.binary_view(), len(said), [None, pa.py_buffer(said), pa.py_buffer(data)])


def take(strings: Any, places: IntArray) -> Any:
    """Some of an Arrow array's elements, copied together."""
    import pyarrow as pa

    return strings.take(pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)]))


def floats(texts: Any) -> tuple[FloatArray, list[int]]:
    """(the value of each text as ``number`` reads it, places of those that are none)."""
    values, wrong = np.empty(len(texts)), list[int]()
    for start in range(0, len(texts), RUN):
        run = texts.slice(start, RUN)
        found = _cast(run)
        if found is None:
            found, bad = _one_by_one(run.to_pylist())
            wrong += [start + place for place in bad]
        values[start : start + RUN] = found
    return values, wrong


def _cast(texts: Any) -> FloatArray | None:
    """Arrow's conversion, exact as Python's; None where the two may differ."""
    import pyarrow as pa

    try:
        cast = texts.view(pa.large_string()).cast(pa.float64())
    except pa.ArrowInvalid:  # spaces around it, or no number
        return None
    found: FloatArray = np.frombuffer(cast.buffers()[1], np.float64, len(cast), 8 * cast.offset)
    unknown = np.flatnonzero(np.isnan(found))
    plain = all(text == b"NaN" for text in take(texts, unknown).to_pylist())  # ``nan(1)`` is a number to it
    return found if plain and _longest(texts) <= MAX_NUMBER else None


def _longest(texts: Any) -> int:
    bounds: npt.NDArray[np.int64] = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, 8 * texts.offset)
    return int(np.diff(bounds).max(initial=0))


def _one_by_one(texts: Sequence[bytes]) -> tuple[FloatArray, list[int]]:
    values, wrong = np.zeros(len(texts)), list[int]()
    for place, text in enumerate(texts):
        try:
            values[place] = number(text)
        except ValueError:
            wrong.append(place)
    return values, wrong
