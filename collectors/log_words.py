"""The words that state a severity, and which of them stand at given places of a buffer.

Eight bytes of a buffer are one number, and numbers are compared by the thousand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model import SEVERITY_CODES, CodeArray
from watchkeeper.model.series import IntArray

from .log_digits import FIRST, first_byte

#: Written severities, by the word they are counted under. Chinese words need no word boundary.
WORDS = {
    "critical": (("fatal", "critical", "crit", "emerg", "emergency", "panic", "alert"), ("致命", "严重", "紧急")),
    "error": (("error", "err", "severe", "exception", "failure"), ("错误", "异常", "失败")),
    "warning": (("warning", "warn"), ("警告", "告警")),
    "info": (("info", "information", "notice"), ("信息", "提示")),
    "debug": (("debug", "trace", "verbose"), ("调试",)),
}
#: Bytes before and behind the data that may be looked at.
_BEFORE, _BEHIND = 16, 96
#: Bytes of a window of a line.
WINDOW = 48
#: Sets the case bit of eight letters.
LOWER = np.uint64(0x2020202020202020)
_LOWER_THREE, _THREE = np.uint32(0x202020), np.uint32(0xFFFFFF)
_MIX, _SHIFT = np.uint32(0x9E3779B1), np.uint32(20)
_MIX_EIGHT, _SHIFT_EIGHT = np.uint64(0x9E3779B97F4A7C15), np.uint64(52)
#: The highest bit of each byte, and the others.
HIGH = np.uint64(0x8080808080808080)
_LOW = ~HIGH
#: Sets the highest bit of a byte from "a" on, and of one beyond "z".
_FROM_A, _BEYOND_Z = np.uint64(0x1F1F1F1F1F1F1F1F), np.uint64(0x0505050505050505)

_CODES = {word.encode(): SEVERITY_CODES[name] for name, pair in WORDS.items() for word in (*pair[0], *pair[1])}
_TEXTS = list(_CODES)
#: First and last byte that a Chinese word of ours begins with.
LEADS = tuple(f(word[0] for word in _TEXTS if not word.isascii()) for f in (min, max))


def _marked(characters: bytes) -> NDArray[np.bool_]:
    marks = np.zeros(256, bool)
    marks[list(characters)] = True
    return marks


_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
IS_LETTER, IS_WORDY = _marked(_LETTERS), _marked(_LETTERS + b"0123456789_")


def number(text: bytes) -> np.uint64:
    """Up to eight bytes as they stand in a buffer."""
    return np.uint64(int.from_bytes(text[:8], "little"))


def mask(length: int) -> np.uint64:
    """The bits that count of a number of so many bytes."""
    return number(b"\xff" * max(0, length))


# Our words, one place each: their first eight bytes and the rest as numbers, and which bits of the rest count.
_FIRST, _REST = np.array([number(text) for text in _TEXTS]), np.array([number(text[8:]) for text in _TEXTS])
_REST_MASK = np.array([mask(len(text) - 8) for text in _TEXTS])
_LENGTH = np.array([len(text) for text in _TEXTS])
_CODE = np.array(list(_CODES.values()), np.uint8)
_CHINESE = 6  #: bytes of each Chinese word of ours


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Data that can be read as numbers at any place, some before its begin and behind its end included."""

    data: bytes
    octets: CodeArray  #: of the data, with some behind them
    fours: NDArray[np.uint32]
    eights: NDArray[np.uint64]
    last_eights: NDArray[np.uint64]  #: the eight bytes before the place
    last_but: NDArray[np.uint64]  #: the eight bytes before those
    windows: NDArray[np.void]  #: ``WINDOW`` bytes, the first of them one before the place
    kinds: tuple[bool, ...]  #: whether words are plain, for each kind of words that there may be

    @classmethod
    def of(cls, data: bytes) -> Buffer:
        held = b"".join((bytes(_BEFORE - 1), b"\n", data, bytes(_BEHIND)))
        size = len(data) + _BEHIND - 16
        return cls(
            data=data,
            octets=np.ndarray(size, np.uint8, held, _BEFORE),
            fours=np.ndarray(size, "<u4", held, _BEFORE, (1,)),
            eights=np.ndarray(size, "<u8", held, _BEFORE, (1,)),
            last_eights=np.ndarray(size, "<u8", held, _BEFORE - 8, (1,)),
            last_but=np.ndarray(size, "<u8", held, _BEFORE - 16, (1,)),
            windows=np.ndarray(len(data) + 16, f"V{WINDOW}", held, _BEFORE - 1, (1,)),
            kinds=(True,) if data.isascii() else (True, False),
        )


def eights_of(windows: NDArray[np.void], at: int) -> NDArray[np.uint64]:
    """Eight bytes of each of some windows, from the place on that is ``at`` behind the window's own."""
    return np.ndarray(len(windows), "<u8", windows, at + 1, (WINDOW,)).copy()


def letters(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The highest bit of each byte that is a letter."""
    low = (words | LOWER) & _LOW
    found: NDArray[np.uint64] = (low + _FROM_A) & ~(low + _BEYOND_Z) & ~words & HIGH
    return found


def _slot(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Where in the table of first three bytes they stand."""
    found: NDArray[np.uint32] = ((numbers & _THREE) * _MIX) >> _SHIFT
    return found


def _place(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Where in the table of words they stand."""
    found: NDArray[np.uint64] = words * _MIX_EIGHT >> _SHIFT_EIGHT
    return found


_LIKELY = np.zeros(1 << (32 - int(_SHIFT)), bool)
_LIKELY[_slot((_FIRST & np.uint64(0xFFFFFF)).astype(np.uint32))] = True
_PLACES = np.zeros(1 << (64 - int(_SHIFT_EIGHT)), np.intp)
_PLACES[_place(_FIRST)] = np.arange(len(_FIRST))
assert (_PLACES[_place(_FIRST)] == np.arange(len(_FIRST))).all(), "two words share a place: take another _MIX_EIGHT"


def likely(octets: CodeArray, places: IntArray, *, plain: bool) -> IntArray:
    """Those places where the first three bytes of one of our words, plain or Chinese, may stand."""
    fours = np.ndarray(max(0, octets.size - 3), "<u4", octets, strides=(1,))[places]
    if plain:
        fours |= _LOWER_THREE
    found: IntArray = places[_LIKELY.take(_slot(fours))]
    return found


def words_at(buffer: Buffer, places: IntArray, after: NDArray[np.bool_], *, plain: bool) -> CodeArray:
    """Codes of the words that begin there; 0: none of ours. What ``after`` marks, letters among it, may not follow a
    plain one.
    """
    raw = buffer.eights[places]
    if plain:
        raw |= LOWER
        raw &= FIRST[first_byte(letters(raw) ^ HIGH)]
    else:
        raw &= FIRST[_CHINESE]
    words = _PLACES.take(_place(raw))
    rows = np.flatnonzero(_FIRST.take(words) == raw)
    words = words[rows]
    if plain:
        well = _ends_well(buffer, places[rows], words, after)
        rows, words = rows[well], words[well]
    codes = np.zeros(len(places), np.uint8)
    codes[rows] = _CODE.take(words)
    return codes


def whole_words(buffer: Buffer, places: IntArray, *, plain: bool) -> CodeArray:
    """Codes of the words there that are no part of others; 0: none."""
    codes = words_at(buffer, places, IS_WORDY, plain=plain)
    if plain:
        codes[IS_WORDY.take(buffer.octets[places - 1])] = 0
    return codes


def _ends_well(buffer: Buffer, places: IntArray, words: IntArray, after: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the rest of the words stands there too, and behind them what may."""
    lengths = _LENGTH.take(words)
    well: NDArray[np.bool_] = ~after.take(buffer.octets[places + lengths])
    long = np.flatnonzero(lengths > 8)
    if len(long):
        rest = (buffer.eights[places[long] + 8] | LOWER) & _REST_MASK.take(words[long])
        well[long] &= rest == _REST.take(words[long])
    return well
