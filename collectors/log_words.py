"""The words that state a severity, and which of them stand at given places of a buffer.

Eight bytes of a buffer are one number, and numbers are compared by the thousand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model import SEVERITY_CODES, CodeArray
from watchkeeper.model.series import IntArray

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


# Our words, one place each: their first eight bytes and the rest as numbers, and which bits of these count.
_FIRST, _REST = np.array([number(text) for text in _TEXTS]), np.array([number(text[8:]) for text in _TEXTS])
_FIRST_MASK = np.array([mask(len(text)) for text in _TEXTS])
_REST_MASK = np.array([mask(len(text) - 8) for text in _TEXTS])
_LENGTH = np.array([len(text) for text in _TEXTS])
_PLAIN = np.array([text.isascii() for text in _TEXTS])  #: any case, and ends where the word ends
_CODE = np.array(list(_CODES.values()), np.uint8)


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


def _slot(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Where in the table of first three bytes they stand."""
    found: NDArray[np.uint32] = ((numbers & _THREE) * _MIX) >> _SHIFT
    return found


def _by_slot() -> NDArray[np.int16]:
    """Places of words by the slot of their first three bytes; -1: none. Shape [words that share a slot, slots]."""
    slots = _slot((_FIRST & np.uint64(0xFFFFFF)).astype(np.uint32)).tolist()
    table = np.full((max(slots.count(slot) for slot in slots), 4096), -1, np.int16)
    used: dict[int, int] = {}
    for place, slot in enumerate(slots):
        table[used.get(slot, 0), slot] = place
        used[slot] = used.get(slot, 0) + 1
    return table


_SLOTS = _by_slot()
_LIKELY = _SLOTS[0] >= 0


def likely(octets: CodeArray, places: IntArray, *, plain: bool) -> IntArray:
    """Those places where the first three bytes of one of our words, plain or Chinese, may stand."""
    fours = np.ndarray(max(0, octets.size - 3), "<u4", octets, strides=(1,))[places]
    if plain:
        fours |= _LOWER_THREE
    found: IntArray = places[_LIKELY.take(_slot(fours))]
    return found


def words_at(buffer: Buffer, places: IntArray, after: NDArray[np.bool_], *, plain: bool) -> CodeArray:
    """Codes of the words that begin there; 0: none of ours. What ``after`` marks may not follow a plain one."""
    codes = np.zeros(len(places), np.uint8)
    if not len(places):
        return codes
    case = LOWER if plain else np.uint64(0)
    raw = buffer.eights[places] | case
    slots = _slot(raw.astype(np.uint32))
    for row in _SLOTS:
        words = row.take(slots)
        left = np.flatnonzero((words >= 0) & (codes == 0))
        words = words.take(left)
        same = (raw.take(left) & _FIRST_MASK.take(words)) == _FIRST.take(words)
        same &= _PLAIN.take(words) == plain
        left, words = left[same], words[same]
        same = _ends_well(buffer, places.take(left), words, after, plain=plain)
        codes[left[same]] = _CODE.take(words[same])
    return codes


def _ends_well(
    buffer: Buffer, places: IntArray, words: NDArray[np.int16], after: NDArray[np.bool_], *, plain: bool
) -> NDArray[np.bool_]:
    """Whether the rest of the words stands there too, and behind them what may."""
    if not plain:
        return np.ones(len(words), bool)  # two characters, six bytes: there is no rest
    well: NDArray[np.bool_] = ~after.take(buffer.octets[places + _LENGTH.take(words)])
    long = np.flatnonzero(_LENGTH.take(words) > 8)
    rest = (buffer.eights[places[long] + 8] | LOWER) & _REST_MASK.take(words[long])
    well[long] &= rest == _REST.take(words[long])
    return well
