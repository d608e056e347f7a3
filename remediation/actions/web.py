"""One HTTP request from a thread, by the house's one client; what was sent and not answered is unknown."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio

from watchkeeper.errors import OutboundError
from watchkeeper.outbound import Outbound, Response

from . import said

#: Reasons for which nothing can have reached the other side.
NOT_SENT = ("refused_address", "connect", "tls", "resolve")
ACCEPTED = range(200, 300)
#: Characters of an answer that are repeated in a reason.
TOLD = 300


def ask(
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    timeout: float,
    allow_private: bool = True,
    trust: ssl.SSLContext | None = None,
    max_bytes: int = 1 << 20,
    effect: bool | None = None,
) -> Response:
    """The answer, whatever its status. The URL may be a secret: errors name ``what`` instead.

    ``effect``: whether the question changes something, where its method alone does not say so.
    """

    async def go() -> Response:
        outbound = Outbound(allow_private=allow_private, verify=trust or trust_of())
        try:
            return await outbound.request(
                method, url, headers=headers, content=content, timeout=timeout, max_bytes=max_bytes
            )
        finally:
            await outbound.aclose()

    try:
        return anyio.run(go)
    except OutboundError as error:
        changes = method != "GET" if effect is None else effect
        sent = changes and error.reason not in NOT_SENT
        raise said.unreachable(what, error.reason, unknown=sent) from None


def document(response: Response, what: str) -> Any:
    """The JSON of an answer."""
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise said.unreadable(what, error) from None


def told(response: Response) -> str:
    """Status and the beginning of the answer, for people."""
    text = " ".join(response.body[: 4 * TOLD].decode(errors="replace").split())
    return f"{response.status}:{text[:TOLD]}"


def trust_of(ca_file: str = "") -> ssl.SSLContext:
    """Certificates that the other side is checked by; without a file the machine's own. A new file is read anew."""
    try:
        return _trust(ca_file, Path(ca_file).stat().st_mtime_ns if ca_file else 0)
    except (OSError, ssl.SSLError) as error:
        raise said.unreachable(ca_file, error) from None


@lru_cache(maxsize=32)
def _trust(ca_file: str, _changed: int) -> ssl.SSLContext:
    """Reading the machine's certificates takes 50 ms, more than most questions."""
    return ssl.create_default_context(cafile=ca_file or None)
