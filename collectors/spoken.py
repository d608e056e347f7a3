"""A conversation over TCP for one reading: whatever goes wrong, with it or inside, is a CollectError with a reason."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from watchkeeper.errors import CollectError

#: Both directions of a connection. A line may have 64 KiB.
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
#: Seconds a peer has to say goodbye.
GOODBYE = 0.2


@asynccontextmanager
async def spoken(
    host: str, port: int, *, timeout: float, tls: ssl.SSLContext | None = None, protocol: str
) -> AsyncIterator[Streams]:
    """An open connection for ``timeout`` seconds, all that is said on it included.

    A ValueError inside means that the peer does not speak ``protocol``. Raises CollectError: timeout, connect, tls,
    protocol.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            yield reader, writer
    except TimeoutError:
        raise CollectError(f"no answer within {timeout:g} s", reason="timeout") from None
    except ssl.SSLError as error:  # a wrong certificate is a ValueError too
        raise CollectError(f"TLS: {error.reason or error}", reason="tls") from None
    except OSError as error:
        if writer is not None:
            raise CollectError("the server broke the connection off", reason="protocol") from None
        raise CollectError(f"no connection: {error.strerror or error}", reason="connect") from None
    except asyncio.IncompleteReadError:
        raise CollectError("the server ended the connection before its answer was whole", reason="protocol") from None
    except (asyncio.LimitOverrunError, ValueError):
        raise CollectError(f"what answers does not speak {protocol}", reason="protocol") from None
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await writer.wait_closed()
