"""Rotated files that were compressed before they were read to their end: their text as a plain file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable
from typing import IO, Any


def _by_arrow(codec: str) -> Callable[[IO[bytes]], Any]:
    """A reader of frames, one after the other, that tells when the last is not whole."""

    def opened(raw: IO[bytes]) -> Any:
        import pyarrow as pa  # heavy, and only such files need it

        return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)

    return opened


_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _by_arrow("zstd"),
    ".lz4": _by_arrow("lz4"),
}
#: What can be read, by the end of the name.
READABLE = tuple(_OPENERS)
#: Ends of names of files whose text is not in them as it was written.
COMPRESSED = (*READABLE, ".zip")
#: Text of one file at most.
MOST_BYTES = 4 << 30
_PIECE = 1 << 20
#: What readers say of a file that ends too early or is no such file; pyarrow's ArrowInvalid is a ValueError.
_NOT_WHOLE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


def plain_name(name: str) -> str:
    """The name before it was compressed; the name itself for others."""
    return next((name.removesuffix(end) for end in READABLE if name.endswith(end)), name)


def head_of(fd: int, name: str, length: int) -> bytes:
    """The first bytes of the text; fewer, or none, when there are no more or they cannot be read (yet)."""
    try:
        with _opened(fd, name) as text:
            return bytes(text.read(length))
    except _NOT_WHOLE:
        return b""


def unpacked(fd: int, name: str) -> int | None:
    """A descriptor of the whole text, in a file without a name; None when it is not whole, too long, or damaged."""
    with tempfile.TemporaryFile() as made:
        try:
            with _opened(fd, name) as text:
                while piece := text.read(_PIECE):
                    made.write(piece)
                    if made.tell() > MOST_BYTES:
                        return None
            made.flush()
        except _NOT_WHOLE:
            return None
        return os.dup(made.fileno())


def _opened(fd: int, name: str) -> Any:
    """Reads from the beginning; ``fd`` stays open."""
    os.lseek(fd, 0, os.SEEK_SET)
    raw = os.fdopen(fd, "rb", closefd=False)
    return _OPENERS[os.path.splitext(name)[1]](raw)  # noqa: PTH122 - a name, no path
