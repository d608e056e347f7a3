"""The severity that log lines state, of a whole buffer of lines at once.

A field that states it (level=error, "severity": "WARN") wins over the first severity word. Fields are found by the
rare letter v that all their names have; words where a letter follows no letter, in the first bytes of each line
before the rest is looked at: most lines say early what they are. Before both, where the lines before stated theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model import CodeArray
from watchkeeper.model.log import starts as line_starts
from watchkeeper.model.series import IntArray

from .log_columns import Column, Columns
from .log_words import IS_LETTER, IS_WORDY, LEADS, LOWER, WINDOW, Buffer, likely, mask, number, whole_words, words_at

#: Bytes at the start of a line in which a severity is looked for.
LOOK = 512
#: Names of fields that state a severity.
FIELDS = ("level", "severity", "lvl", "loglevel")
#: Names by the three letters around their v, as a number.
_NAMES = {
    np.uint32(int.from_bytes(three, "little")): [name for name in FIELDS if three.decode() in name]
    for three in (b"eve", b"lvl")
}
#: Blanks on either side of what parts a field's name from its value, at most.
_BLANKS = 4
#: Places of a window where a word may begin: its first three bytes are in the window.
_STEP = WINDOW - 4
_COLUMNS = np.arange(WINDOW, dtype=np.uint8)
#: Lines in one of so many that their windows leave open are worth being copied together.
_FEW = 4
_V, _A, _CASE = np.uint8(ord("v")), np.uint8(ord("a")), np.uint8(0x20)


@dataclass(slots=True)
class Severities:
    """Reads the severities of one file's lines, and remembers where they stood."""

    _fields: Columns = field(default_factory=Columns)
    _words: Columns = field(default_factory=Columns)

    def read(self, buffer: Buffer, ends: IntArray) -> CodeArray:
        """A code of ``SEVERITIES`` for each line of the buffer that ends at one of ``ends``."""
        found = np.zeros(len(ends), np.uint8)
        begins = line_starts(ends)
        stop = np.minimum(ends, begins + LOOK)
        for columns, search in ((self._fields, _fields), (self._words, _words)):
            columns.find(buffer, begins, stop, found)
            if not found.all():
                search(buffer, begins, stop, found, columns)
        return found


def severities(buffer: Buffer, ends: IntArray) -> CodeArray:
    """The same of lines that come alone."""
    return Severities().read(buffer, ends)


# --- fields ---------------------------------------------------------------------------------------------------------


def _fields(buffer: Buffer, begins: IntArray, stop: IntArray, found: CodeArray, columns: Columns) -> None:
    """Enter what the first field of each line without one says that states a severity."""
    names, behind = _names(buffer)
    lines = np.searchsorted(begins, names, side="right") - 1
    kept = np.flatnonzero((names < stop[lines]) & (found[lines] == 0)) if len(names) else names
    if not len(kept):
        return
    names, lines = names[kept], lines[kept]
    codes, values = _stated(buffer, behind[kept])
    kept = np.flatnonzero(codes)
    kept = kept[_first_of_each(lines[kept])]
    names, values, lines = names[kept], values[kept], lines[kept]
    found[lines] = codes[kept]
    at = values - begins[lines]

    def column(row: int) -> Column:
        name = max(int(names[row]) - 1, int(begins[lines[row]]))  # with what stands before it
        return Column(int(at[row]), buffer.data[name : int(values[row])], plain=buffer.data[values[row]] < 0x80)

    columns.learn(at, column, len(begins))


def _names(buffer: Buffer) -> tuple[IntArray, IntArray]:
    """Where names of fields begin, in order, and where what follows them begins."""
    places = np.flatnonzero(buffer.octets | _CASE == _V)
    around = buffer.fours[places - 1] & np.uint32(0xFFFFFF) | np.uint32(0x202020)
    found = []
    for middle, names in _NAMES.items():
        some = places[around == middle]
        for name in names:
            if len(some):
                begins = some - name.index("v")
                same = (buffer.eights[begins] | LOWER) & mask(len(name)) == number(name.encode())
                same &= ~IS_WORDY.take(buffer.octets[begins - 1])
                found.append((begins[same], len(name)))
                some = some[~same]
    if len(found) == 1:
        return found[0][0], found[0][0] + found[0][1]
    begins = np.concatenate([np.empty(0, np.int64), *(places for places, _ in found)])
    behind = np.concatenate([np.empty(0, np.int64), *(places + length for places, length in found)])
    order = np.argsort(begins)
    return begins[order], behind[order]


def _stated(buffer: Buffer, places: IntArray) -> tuple[CodeArray, IntArray]:
    """(codes of what follows names of fields there; 0 where no value of ours does, where the values begin)."""
    marks = _past_blanks(buffer, _past_quote(buffer, places))
    values = _past_quote(buffer, _past_blanks(buffer, marks + 1))
    codes = words_at(buffer, values, IS_LETTER, plain=True)
    if len(buffer.kinds) > 1:
        chinese = np.flatnonzero(codes == 0)
        codes[chinese] = words_at(buffer, values[chinese], IS_LETTER, plain=False)
    mark = buffer.octets[marks]
    codes[(mark != ord("=")) & (mark != ord(":"))] = 0
    return codes, values


def _past_quote(buffer: Buffer, places: IntArray) -> IntArray:
    octets = buffer.octets[places]
    past: IntArray = places + ((octets == ord('"')) | (octets == ord("'")))
    return past


def _past_blanks(buffer: Buffer, places: IntArray) -> IntArray:
    for _ in range(_BLANKS):
        octets = buffer.octets[places]
        blank = (octets == ord(" ")) | (octets == ord("\t"))
        if not blank.any():
            break
        places = places + blank
    return places


# --- words ----------------------------------------------------------------------------------------------------------


def _words(buffer: Buffer, begins: IntArray, stop: IntArray, found: CodeArray, columns: Columns) -> None:
    """Enter the first word of each line without one."""
    lines = np.flatnonzero(found == 0)
    found[lines], at = _in_windows(buffer, begins[lines], stop[lines])
    rows = np.flatnonzero(found[lines])
    columns.learn(at[rows], partial(_column, buffer, begins[lines[rows]], at[rows]), len(begins))
    left = np.flatnonzero((found == 0) & (begins + _STEP < stop))
    if len(left) > len(found) // _FEW:
        found[left] = _in_lines(buffer, begins, stop)[left]
    elif len(left):
        pairs = zip((begins[left] + _STEP - 1).tolist(), stop[left].tolist(), strict=True)
        rests = [buffer.data[begin:end] for begin, end in pairs]
        ends = np.cumsum([len(rest) + 1 for rest in rests]) - 1
        begins = line_starts(ends) + 1  # the first byte only tells what stands before the second
        found[left] = _in_lines(Buffer.of(b"\n".join(rests)), begins, ends)


def _column(buffer: Buffer, begins: IntArray, at: IntArray, row: int) -> Column:
    return Column(int(at[row]), plain=buffer.data[begins[row] + at[row]] < 0x80)


def _in_windows(buffer: Buffer, at: IntArray, stop: IntArray) -> tuple[CodeArray, IntArray]:
    """(a code for each place by the first word that begins in the window there and before ``stop``; 0: none, how
    many bytes behind the place it begins).
    """
    octets = buffer.windows[at].view(np.uint8)
    found = np.zeros(len(at), np.uint8)
    first = np.full(len(at), WINDOW, np.uint8)  # the column of what was found
    for plain in buffer.kinds:
        marks = _marks(octets, plain=plain).reshape(-1, WINDOW)
        marks[:, 0], marks[:, _STEP + 1 :] = False, False  # what comes before, and what is looked for elsewhere
        if not plain:
            marks &= first[:, None] > _COLUMNS
        rows, columns = np.divmod(likely(octets, np.flatnonzero(marks), plain=plain), WINDOW)
        places = at[rows] + columns - 1
        codes = whole_words(buffer, places, plain=plain)
        kept = np.flatnonzero((codes != 0) & (places < stop[rows]))
        kept = kept[_first_of_each(rows[kept])]
        found[rows[kept]], first[rows[kept]] = codes[kept], columns[kept]
    return found, first.astype(np.int64) - 1


def _in_lines(buffer: Buffer, begins: IntArray, stop: IntArray) -> CodeArray:
    """A code for each line by the first word that begins between the two; 0: none."""
    found, first = np.zeros(len(begins), np.uint8), stop.copy()
    octets = buffer.octets
    for plain in buffer.kinds:
        places = likely(octets, np.flatnonzero(_marks(octets, plain=plain)), plain=plain)
        codes = whole_words(buffer, places, plain=plain)
        places, codes = places[codes != 0], codes[codes != 0]
        lines = np.searchsorted(begins, places, side="right") - 1
        kept = np.flatnonzero((lines >= 0) & (places < first[lines]))
        kept = kept[_first_of_each(lines[kept])]
        found[lines[kept]], first[lines[kept]] = codes[kept], places[kept]
    return found


def _marks(octets: CodeArray, *, plain: bool) -> NDArray[np.bool_]:
    """Where a word may begin: at a letter that follows none, or at a first byte of Chinese ones."""
    if not plain:
        chinese: NDArray[np.bool_] = octets - np.uint8(LEADS[0]) <= np.uint8(LEADS[1] - LEADS[0])
        return chinese
    letters = np.zeros(len(octets) + 1, np.uint8)
    np.bitwise_or(octets, _CASE, out=letters[1:])
    letters[1:] -= _A
    is_letter = letters < 26
    is_letter[0] = False
    marks: NDArray[np.bool_] = is_letter[1:] > is_letter[:-1]
    return marks


def _first_of_each(lines: IntArray) -> IntArray:
    """Places of the first of equal numbers that follow each other."""
    new = np.ones(len(lines), bool)
    new[1:] = lines[1:] != lines[:-1]
    return np.flatnonzero(new)
