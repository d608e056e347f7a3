"""What of a text can be looked up: lower-cased words, and pairs of neighbouring CJK characters."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

import numpy as np

_WORD = re.compile(rb"[0-9a-z_]+")
_CJK = re.compile("[\u3400-\u9fff\uf900-\ufaff]{2,}")
#: Bits for each token, and bits that each sets: one token in 40 that is not there seems to be.
BITS, HASHES = 8, 4


def tokens(text: bytes) -> set[bytes]:
    """Every token of a UTF-8 text."""
    found = set(_WORD.findall(text.lower()))
    if not text.isascii():
        for run in set(_CJK.findall(text.decode("utf-8", "replace"))):
            found.update((run[place : place + 2]).encode() for place in range(len(run) - 1))
    return found


def whole_tokens(text: str) -> set[bytes]:
    """Tokens that every text has that holds this one as whole words."""
    return tokens(text.encode("utf-8", "replace"))


def make_bloom(found: Iterable[bytes]) -> bytes:
    """A set that says of a token either "may be" or "is not"."""
    pair = np.array([(zlib.crc32(token), zlib.crc32(token, 0x9747B28C)) for token in found], np.uint64).reshape(-1, 2)
    size = max(64, len(pair) * BITS) // 64 * 64
    bits = np.zeros(size, np.uint8)
    for number in range(HASHES):
        bits[((pair[:, 0] + np.uint64(number) * pair[:, 1]) % np.uint64(size)).astype(np.int64)] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def may_hold(bloom: bytes, token: bytes) -> bool:
    first, second, size = zlib.crc32(token), zlib.crc32(token, 0x9747B28C), len(bloom) * 8
    places = ((first + number * second) % size for number in range(HASHES))
    return all(bloom[place >> 3] >> (place & 7) & 1 for place in places)
