"""Raw log lines as text: decoding, and joining of lines that belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from watchkeeper.model.series import IntArray

#: Bytes from which on a text of them costs more than it is worth.
LONG = 1 << 16
_LEADING_NULS = re.compile(rb"(?m)^\0+")


def decode(raw: bytes, encoding: str) -> bytes:
    """Whole lines as UTF-8. What is no character, NUL included, becomes U+FFFD; NULs before a line are left out.

    A sparse file begins so after its writer, who did not open it for appending, saw it emptied.
    """
    if b"\0" in raw:
        raw = _LEADING_NULS.sub(b"", raw).replace(b"\0", b"\xff" if encoding == "utf-8" else b"\x80")
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n")
    if raw.isascii():
        return raw
    if encoding == "utf-8":
        return raw if is_utf8(raw) else raw.decode(errors="replace").encode()
    found = raw.decode(encoding, errors="replace").encode()
    if found.count(b"\n") == raw.count(b"\n"):
        return found
    lines = raw.split(b"\n")  # a broken character has swallowed a line end
    return b"\n".join(line.decode(encoding, errors="replace").encode() for line in lines)


def is_utf8(raw: bytes) -> bool:
    """Whether it is UTF-8; what is long is looked over in place, a third of the time that a text of it takes."""
    if len(raw) < LONG:
        try:
            raw.decode()
        except UnicodeDecodeError:
            return False
        return True
    import pyarrow as pa  # heavy: files that are read in small pieces do without

    whole = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, len(raw)], np.int32)), pa.py_buffer(raw))
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def line_ends(data: bytes) -> IntArray:
    """Where the lines of ``data`` end, each with a line end."""
    return np.flatnonzero(np.frombuffer(data, np.uint8) == 10)


def join(texts: Sequence[str], begins: str) -> list[str]:
    """Lines that do not begin a record (RE2 pattern) are joined to the one before."""
    import pyarrow as pa  # the RE2 engine is heavy, and only patterns need it
    import pyarrow.compute as pc

    if not texts:
        return []
    starts = pc.match_substring_regex(pa.array(texts, pa.string()), f"^(?:{begins})").to_pylist()
    records: list[list[str]] = []
    for text, start in zip(texts, starts, strict=True):
        if start or not records:
            records.append([])
        records[-1].append(text)
    return ["\n".join(lines) for lines in records]
