"""Messages between engine and actuator: four bytes of length, then JSON, with a lid on the length."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from watchkeeper.errors import ActionError

MAX_BYTES = 1 << 20


async def receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message, None at the end of the stream. Raises ActionError on anything malformed."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > MAX_BYTES:
            raise ActionError(f"a message of {size} bytes is over the limit of {MAX_BYTES}")
        body = await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ActionError("the message ends early") from error
        return None
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ActionError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise ActionError("the message is not an object")
    return message


def pack(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":"), ensure_ascii=False, default=str).encode()
    if len(body) > MAX_BYTES:
        raise ActionError(f"a message of {len(body)} bytes is over the limit of {MAX_BYTES}")
    return len(body).to_bytes(4, "big") + body
