"""HTTP on behalf of collectors: an answer of status 200, or CollectError with one bounded reason."""

from __future__ import annotations

from collections.abc import Mapping

from watchkeeper.errors import CollectError, OutboundError
from watchkeeper.outbound import Outbound, Response
from watchkeeper.trust import Trust

from .credentials import read_secret

#: The authorities of this machine, and no certificate of ours.
SYSTEM = Trust()


def read_token(path: str) -> str:
    """A bearer token from a file, read anew for every request so that rotation needs no restart."""
    token = read_secret(path, "bearer_token_file")
    if not token.isascii() or not token.isprintable():
        raise CollectError(f"bearer_token_file {path} holds no token", reason="token")
    return token


async def fetch(
    outbound: Outbound,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    timeout: float,
    max_bytes: int,
    content: bytes = b"",
    bearer_token_file: str = "",
    statuses: tuple[int, ...] = (200,),
    large: bool = False,
    trust: Trust = SYSTEM,
) -> Response:
    """The answer, if its status is one of ``statuses``; ``large``: a GET whose body may be megabytes, often.

    The URL is not repeated in errors: it may hold a secret.
    """
    sent = dict(headers)
    if bearer_token_file:
        sent["authorization"] = f"Bearer {read_token(bearer_token_file)}"
    try:
        client = outbound.trusting(trust) if trust else outbound
        if large:
            response = await client.page(url, headers=sent, timeout=timeout, max_bytes=max_bytes)
        else:
            response = await client.request(
                method, url, headers=sent, content=content, timeout=timeout, max_bytes=max_bytes
            )
    except OutboundError as error:
        raise CollectError(str(error), reason=error.reason) from None
    if response.status in statuses:
        return response
    if 300 <= response.status < 400:
        raise CollectError(f"answered {response.status}: redirects are not followed", reason="redirect")
    raise CollectError(f"answered status {response.status}", reason="status")
