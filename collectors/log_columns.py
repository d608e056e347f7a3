"""Where lines of one file stated their severity lately: at so many bytes behind their begin, by a field or a word.

What stands there is taken only where nothing before it could state one, so that it is what a search would find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model import CodeArray
from watchkeeper.model.series import BoolArray, IntArray

from .log_digits import FIRST
from .log_words import HIGH, IS_LETTER, LEADS, LOWER, WINDOW, Buffer, eights_of, letters, number, whole_words, words_at

#: Bytes behind a line's begin at which it may stand.
WIDEST = 64
#: Columns of one file that are tried.
_MOST = 4
#: Lines of one column in so many that were searched are worth a column of their own.
_SHARE = 8
_V = number(b"v" * 8)
_ONE, _TWO, _FOUR, _FIVE, _EIGHT, _SIXTEEN = (np.uint64(size) for size in (1, 2, 4, 5, 8, 16))
_LOW = ~HIGH
assert 0xE4 <= LEADS[0] <= LEADS[1] <= 0xEF, "_chinese knows which bytes lead"

#: Of eight bytes each: a number that is 0 where none of them matters.
_Test = Callable[[NDArray[np.uint64]], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True)
class Column:
    """A place of the line where a severity stands."""

    at: int
    field: bytes = b""  #: the name of a field and what parts it from its value, which stand before ``at``
    plain: bool = True  #: no Chinese word

    def codes(self, buffer: Buffer, begins: IntArray, stop: IntArray, held: NDArray[np.void]) -> CodeArray:
        """Codes of ``SEVERITIES`` of lines that state one there and nowhere before; 0: others. ``held``: windows."""
        start = self.at - len(self.field)
        good: BoolArray = begins + start < stop
        for at in range(0, len(self.field), 8):
            part = self.field[at : at + 8]
            good &= (_eights(buffer, begins, held, start + at) & FIRST[len(part)]) == number(part)
        test = _letter_v if self.field else _three_letters if len(buffer.kinds) == 1 else _letters_or_chinese
        step = 8 if self.field else 6  # three letters in a row are seen where two steps meet, too
        for at in range(0, start, step):
            good &= test(_eights(buffer, begins, held, at) & FIRST[min(8, start - at)]) == 0
        lines = np.flatnonzero(good)
        codes = np.zeros(len(begins), np.uint8)
        codes[lines] = self._words(buffer, begins[lines] + self.at)
        return codes

    def _words(self, buffer: Buffer, places: IntArray) -> CodeArray:
        if self.field:
            return words_at(buffer, places, IS_LETTER, plain=self.plain)
        return whole_words(buffer, places, plain=self.plain)


@dataclass(slots=True)
class Columns:
    """The latest ones, the last learned first."""

    _known: list[Column] = field(default_factory=list)

    def find(self, buffer: Buffer, begins: IntArray, stop: IntArray, found: CodeArray) -> None:
        """Enter the codes of those lines without one that state it in one of the columns."""
        if not self._known:
            return
        held = buffer.windows[begins]
        for one in list(self._known):
            lines = np.flatnonzero(found == 0)
            if not len(lines):
                return
            if len(lines) == len(found):
                found[:] = codes = one.codes(buffer, begins, stop, held)
            else:
                found[lines] = codes = one.codes(buffer, begins[lines], stop[lines], held[lines])
            if not codes.any():
                self._known.remove(one)

    def learn(self, columns: IntArray, of: Callable[[int], Column], searched: int) -> None:
        """Of ``searched`` lines: the column where the most stated it; ``of`` makes one of ``columns``, by its place."""
        if not len(columns):
            return
        most = int(np.bincount(columns).argmax())
        rows = np.flatnonzero(columns == most)
        if most < WIDEST and len(rows) * _SHARE >= searched:
            one = of(int(rows[0]))
            self._known = [one, *(known for known in self._known if known != one)][:_MOST]


def _eights(buffer: Buffer, begins: IntArray, held: NDArray[np.void], at: int) -> NDArray[np.uint64]:
    """Eight bytes of each line, so many behind its begin."""
    return eights_of(held, at) if at <= WINDOW - 9 else buffer.eights[begins + at]


def _letter_v(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A name of a field holds a v."""
    apart = (words | LOWER) ^ _V
    found: NDArray[np.uint64] = ~((apart & _LOW) + _LOW | apart) & HIGH
    return found


def _three_letters(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A word of ours has three letters in a row."""
    letter = letters(words)
    found: NDArray[np.uint64] = letter & letter >> _EIGHT & letter >> _SIXTEEN
    return found


def _letters_or_chinese(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A Chinese word of ours begins with a byte from E4 to EF."""
    leads = words & words << _ONE & words << _TWO & (words << _FOUR | words << _FIVE) & HIGH
    found: NDArray[np.uint64] = _three_letters(words) | leads
    return found
