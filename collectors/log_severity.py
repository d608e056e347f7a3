"""The severity that log lines state, of a whole buffer of lines at once.

A field that states it (level=error, "severity": "WARN") wins over the first severity word. Words are found where a
letter follows no letter: eight bytes from there are one number, and numbers are compared by the thousand.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model import SEVERITY_CODES, CodeArray
from watchkeeper.model.log import starts as line_starts
from watchkeeper.model.series import IntArray

#: Bytes at the start of a line in which a severity is looked for.
LOOK = 512
#: Written severities, by the word they are counted under. Chinese words need no word boundary.
WORDS = {
    "critical": (("fatal", "critical", "crit", "emerg", "emergency", "panic", "alert"), ("致命", "严重", "紧急")),
    "error": (("error", "err", "severe", "exception", "failure"), ("错误", "异常", "失败")),
    "warning": (("warning", "warn"), ("警告", "告警")),
    "info": (("info", "information", "notice"), ("信息", "提示")),
    "debug": (("debug", "trace", "verbose"), ("调试",)),
}
#: Names of fields that state a severity.
FIELDS = ("level", "severity", "lvl", "loglevel")
#: Code of a field's name among the codes of severities.
_FIELD_CODE = 100
_WINDOW = 24  #: bytes in which the name and the value of a field must fit
_CODES = {word.encode(): SEVERITY_CODES[name] for name, pair in WORDS.items() for word in (*pair[0], *pair[1])}
_ALL = {**_CODES, **{name.encode(): _FIELD_CODE for name in FIELDS}}
_VALUES = b"|".join(re.escape(word) for word in sorted(_CODES, key=lambda word: -len(word)))
_FIELD = re.compile(rb'(?i)[a-z]+"?[ \t]*[=:][ \t]*"?(' + _VALUES + rb")(?![A-Za-z])")

#: Mix eight bytes each into one number; what differs differs there too, but for one case in 2^60.
_PRIMES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
_LOWER = np.uint64(0x2020202020202020)
_THREE, _MIX, _SHIFT = np.uint32(0xFFFFFF), np.uint32(0x9E3779B1), np.uint32(20)
#: First bytes of Chinese words of ours.
_LEADS = sorted({word[0] for word in _ALL if not word.isascii()})
#: 1 for a byte that belongs to a word.
_WORDY = np.zeros(256, bool)
_WORDY[list(b"0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] = True


def _number(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text[:8], "little"))


def _slot(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Where in the table of first three bytes they stand."""
    return ((numbers & _THREE) * _MIX) >> _SHIFT


def _numbers(parts: list[bytes]) -> NDArray[np.uint64]:
    return np.array([_number(part) for part in parts], np.uint64)


# Our words, one place each: their first eight bytes and the rest as numbers, and which bits of these count.
_TEXTS = list(_ALL)
_FIRST, _FIRST_MASK = _numbers([text[:8] for text in _TEXTS]), _numbers([b"\xff" * len(text[:8]) for text in _TEXTS])
_REST, _REST_MASK = _numbers([text[8:] for text in _TEXTS]), _numbers([b"\xff" * len(text[8:]) for text in _TEXTS])
_LENGTH = np.array([len(text) for text in _TEXTS])
_PLAIN = np.array([text.isascii() for text in _TEXTS])  #: any case, and ends where the word ends
_CODE = np.array([_ALL[text] for text in _TEXTS], np.uint8)


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


def severities(data: bytes, ends: IntArray) -> CodeArray:
    """A code of ``SEVERITIES`` for each line of ``data`` that ends at one of ``ends``."""
    found = np.zeros(len(ends), np.uint8)
    places, codes = _hits(data)
    lines = np.searchsorted(ends, places)
    near = lines < len(ends)
    near[near] = (places - line_starts(ends)[np.minimum(lines, len(ends) - 1)])[near] < LOOK if len(ends) else False
    places, codes, lines = places[near], codes[near], lines[near]
    words = codes != _FIELD_CODE
    first = _first_of_each(lines[words])
    found[lines[words][first]] = codes[words][first]
    _fields(data, places[~words], lines[~words], found)
    return found


def _hits(data: bytes) -> tuple[IntArray, CodeArray]:
    """(place, code) of every word of ours, in order."""
    octets = np.frombuffer(data, np.uint8)
    padded = data + bytes(24)
    places, slots = _likely(padded, _letter_starts(octets), lower=True)
    if not data.isascii():
        leads = np.flatnonzero((octets >= _LEADS[0]) & (octets <= _LEADS[-1]))
        more, their_slots = _likely(padded, leads, lower=False)
        places, slots = np.concatenate([places, more]), np.concatenate([slots, their_slots])
        order = np.argsort(places)
        places, slots = places[order], slots[order]
    codes = np.zeros(len(places), np.uint8)
    around = np.frombuffer(padded, np.uint8)
    eights = np.ndarray(len(data) + 16, "<u8", padded, strides=(1,))
    raw, within = eights[places], (places > 0) & _WORDY[around[places - 1]]
    for row in _SLOTS:
        words = row[slots]
        left = np.flatnonzero((words >= 0) & (codes == 0))
        words, at = words[left], places[left]
        plain = _PLAIN[words]
        numbers = raw[left] | np.where(plain, _LOWER, np.uint64(0))
        same = (numbers & _FIRST_MASK[words]) == _FIRST[words]
        same &= ((eights[at + 8] | _LOWER) & _REST_MASK[words]) == _REST[words]
        same &= ~plain | ~(within[left] | _WORDY[around[at + _LENGTH[words]]])
        codes[left[same]] = _CODE[words[same]]
    kept = codes != 0
    return places[kept], codes[kept]


def _letter_starts(octets: CodeArray) -> IntArray:
    """Where an ASCII letter follows none."""
    letters = np.zeros(len(octets) + 1, np.uint8)
    np.bitwise_or(octets, 0x20, out=letters[1:])
    letters[1:] -= ord("a")
    is_letter = letters < 26
    is_letter[0] = False
    return np.flatnonzero(is_letter[1:] > is_letter[:-1])


def _likely(padded: bytes, places: IntArray, *, lower: bool) -> tuple[IntArray, NDArray[np.uint32]]:
    """Those places where the first three bytes of one of our words may stand, with their slots."""
    fours = np.ndarray(len(padded) - 3, "<u4", padded, strides=(1,))[places]
    if lower:
        fours |= np.uint32(0x202020)
    slots = _slot(fours)
    likely = _LIKELY[slots]
    return places[likely], slots[likely]


def _first_of_each(lines: IntArray) -> IntArray:
    """Places of the first of equal numbers that follow each other."""
    new = np.ones(len(lines), bool)
    new[1:] = lines[1:] != lines[:-1]
    return np.flatnonzero(new)


def _fields(data: bytes, places: IntArray, lines: IntArray, found: CodeArray) -> None:
    """Enter what the first field of each line that states a severity says; equal ones are read once."""
    if not len(places):
        return
    eights = np.ndarray(len(data) + _WINDOW, "<u8", data + bytes(_WINDOW + 8), strides=(1,))
    mixed = eights[places] * _PRIMES[0] ^ eights[places + 8] * _PRIMES[1] ^ eights[places + 16] * _PRIMES[2]
    _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
    stated = [_stated(data[place : place + _WINDOW]) for place in places[first].tolist()]
    codes = np.array(stated, np.uint8)[inverse]
    said = codes != 0
    chosen = _first_of_each(lines[said])
    found[lines[said][chosen]] = codes[said][chosen]


def _stated(window: bytes) -> int:
    matched = _FIELD.match(window)
    return _CODES[matched[1].lower()] if matched else 0
