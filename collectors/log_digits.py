"""Digits in numbers of eight bytes each: the first byte of the text is the lowest of the number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import IntArray

_ZEROS, _SIX, _TOP = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606), np.uint64(0xF0F0F0F0F0F0F0F0)
#: Masks that keep the last n of eight bytes, and the first n.
LAST = np.array([0xFFFFFFFFFFFFFFFF << 8 * (8 - n) & 0xFFFFFFFFFFFFFFFF for n in range(9)], np.uint64)
FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
#: The place of the only bit of a number by a multiplication (a sequence of de Bruijn).
_BRUIJN, _SHIFT = 0x03F79D71B4CB0A89, np.uint64(58)
_BYTE_OF = np.zeros(64, np.int64)
for _bit in range(64):
    _BYTE_OF[(_BRUIJN << _bit & 0xFFFFFFFFFFFFFFFF) >> 58] = _bit >> 3


def digits(words: NDArray[np.uint64]) -> IntArray:
    """How many digits each begins with, 8 at most."""
    apart = words ^ _ZEROS
    return first_byte((apart | apart + _SIX) & _TOP)


def first_byte(bits: NDArray[np.uint64]) -> IntArray:
    """The first byte of each with a bit set; 8: none has."""
    lowest = bits & (~bits + np.uint64(1))
    found: IntArray = _BYTE_OF.take(lowest * np.uint64(_BRUIJN) >> _SHIFT)
    found[bits == 0] = 8
    return found


def value(words: NDArray[np.uint64]) -> IntArray:
    """Eight digits as the number they are; bytes of value 0 count as 0."""
    low = words & np.uint64(0x0F0F0F0F0F0F0F0F)
    pairs = low * np.uint64(2561) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
    fours = pairs * np.uint64(6553601) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    found: IntArray = (fours * np.uint64(42949672960001) >> np.uint64(32)).astype(np.int64)
    return found
