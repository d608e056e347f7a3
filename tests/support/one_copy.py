"""One copy of a service, as a process of its own: says its name to whoever asks.

``python one_copy.py NAME PORT...``, on loopback, or where ``HOST`` says.
"""

from __future__ import annotations

import asyncio
import os
import sys


async def main(name: str, ports: list[int]) -> None:
    body = name.encode()
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # somebody hung up: the next one is served all the same
        finally:
            writer.close()

    servers = [await asyncio.start_server(answer, os.environ.get("HOST", "127.0.0.1"), port) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [int(port) for port in sys.argv[2:]]))
