"""Snappy's block form, its declared length checked before a byte is unpacked."""

from __future__ import annotations

import cramjam

from watchkeeper.wire.errors import TooLargeError, WireError

#: A copy of 64 bytes takes 3: nothing unpacks to more than this many times its size.
MOST_RATIO = 22
#: The length in front is a varint of at most 32 bits.
LENGTH_BYTES = 5


def compress(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def unpack(data: bytes, most: int) -> bytes:
    """The content. Raises TooLargeError above ``most`` bytes, before any is allocated, and WireError for no snappy."""
    declared = _declared(data)
    if declared > most:
        raise TooLargeError(f"the body says it unpacks to {declared} bytes; at most {most} are taken")
    if declared > MOST_RATIO * len(data):
        raise WireError("the body says it unpacks to more than its bytes can hold")
    try:
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise WireError(f"the body is not snappy's block form: {error}") from None


def _declared(data: bytes) -> int:
    length = 0
    for place, byte in enumerate(data[:LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return length
    raise WireError("the body does not start with the length of snappy's block form")
