"""A user of a service, as a process of its own: so many requests a second, every answer written down.

``python one_client.py PORT PER_SECOND FILE``. It does not wait for an answer before it asks again. A line of the file
is ``sent taken who``: monotonic seconds of this machine, seconds, and the copy that answered or ``!`` and the failure.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

#: Seconds after which a user gives up.
PATIENCE = 2.0


async def ask(port: int) -> str:
    """Who answered, or ``!`` and what went wrong."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
            finally:
                writer.close()
    except TimeoutError:
        return "!timeout"
    except OSError as error:
        return f"!{type(error).__name__}"
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1].decode() if head.count(b" ") >= 2 else "empty"
    return body.decode() if status == "200" and body else f"!{status}"


async def use(port: int, per_second: float, write: Callable[[str], object]) -> None:
    running: set[asyncio.Task[None]] = set()

    async def one() -> None:
        sent = time.monotonic()
        who = await ask(port)
        write(f"{sent:.4f} {time.monotonic() - sent:.4f} {who}\n")

    due = time.monotonic()
    while True:
        task = asyncio.create_task(one())
        running.add(task)
        task.add_done_callback(running.discard)
        due += 1 / per_second
        await asyncio.sleep(max(due - time.monotonic(), 0))


if __name__ == "__main__":
    with Path(sys.argv[3]).open("w", buffering=1) as file:
        asyncio.run(use(int(sys.argv[1]), float(sys.argv[2]), file.write))
