"""Files as programs compress them, by the end of their name."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import pyarrow as pa


def _frames(codec: str) -> Callable[[bytes], bytes]:
    def packed(text: bytes) -> bytes:
        made = pa.BufferOutputStream()
        with pa.CompressedOutputStream(made, codec) as stream:
            stream.write(text)
        return bytes(made.getvalue())

    return packed


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": _frames("zstd"),
    ".lz4": _frames("lz4"),
}
