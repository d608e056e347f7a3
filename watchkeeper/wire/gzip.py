"""gzip unpacked as far as a limit, whatever the body says of itself."""

from __future__ import annotations

import zlib

from watchkeeper.wire.errors import TooLargeError, WireError

#: Header and trailer of gzip, of which several may follow each other.
_GZIP = 31


def unpack(data: bytes, most: int) -> bytes:
    """The content. Raises TooLargeError when it is over ``most`` bytes, holding no more, and WireError for no gzip."""
    parts: list[bytes] = []
    left = most
    while data:
        one = zlib.decompressobj(_GZIP)
        try:
            found = one.decompress(data, left + 1)
        except zlib.error as error:
            raise WireError(f"the body is not gzip: {error}") from None
        left -= len(found)
        if left < 0:
            raise TooLargeError(f"the body unpacks to more than {most} bytes, which is the most that is taken")
        if not one.eof:
            raise WireError("the body ends in the middle of gzip")
        parts.append(found)
        data = one.unused_data
    return b"".join(parts)


def content(body: bytes, most: int, *, gzipped: bool) -> bytes:
    """What was sent, unpacked where it is ``gzipped``, as far as the same limit. Raises TooLargeError, WireError."""
    if gzipped:
        return unpack(body, most)
    if len(body) > most:
        raise TooLargeError(f"the body has more than {most} bytes, which is the most that is taken")
    return body
