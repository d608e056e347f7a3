"""A limit to what a broker may send at once: aiokafka itself reads whatever length is announced, up to 2 GB."""

from __future__ import annotations

import struct
from typing import Any

#: Bytes of one answer. Fetches ask for 8 MB; a single batch may be larger, by the broker's message.max.bytes.
MOST_ANSWER = 32 << 20


def bound_answers() -> None:
    """From now on every connection of aiokafka ends when an answer is announced larger than ``MOST_ANSWER``."""
    from aiokafka.conn import AIOKafkaConnection

    AIOKafkaConnection._read = staticmethod(_read)  # it offers no hook and makes its connections itself


async def _read(own: Any) -> None:
    """As the library's own loop: ``own`` is a weak reference, so that a forgotten connection can go."""
    connection = own()
    if connection is None:
        return
    reader = connection._reader
    while connection is not None:
        del connection
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        if not 0 <= size <= MOST_ANSWER:
            raise ValueError(f"an answer of {size} bytes")
        answer = await reader.readexactly(size)
        connection = own()
        if connection is not None:
            connection._handle_frame(answer)
