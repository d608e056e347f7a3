"""HTTP on behalf of collectors: an answer of status 200, or CollectError with one bounded reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from watchkeeper.errors import CollectError, OutboundError
from watchkeeper.outbound import Outbound, Response
from watchkeeper.telemetry import redact
from watchkeeper.trust import Trust

from .credentials import read_secret

#: The authorities of this machine, and no certificate of ours.
SYSTEM = Trust()
#: Characters of what a server says of its refusal; and where JSON has it, the innermost first.
MOST_SAID = 200
SAID = ("root_cause", "reason", "message", "detail", "error_description", "error", "errors")


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
    raise CollectError(f"answered status {response.status}{_said(response.body, sent)}", reason="status")


def _said(body: bytes, sent: Mapping[str, str]) -> str:
    """`: why`, where the server says it in JSON or plain text; never a page of HTML, never what we sent."""
    text = body[:20_000].decode("utf-8", "replace").strip()
    try:
        text = _sentence(json.loads(text))
    except (ValueError, RecursionError):
        text = "" if text.startswith("<") else text.partition("\n")[0]
    for value in sent.values():
        text = text.replace(value.rpartition(" ")[2], "***") if len(value) > len("application") else text
    shown = "".join(letter if letter.isprintable() else " " for letter in redact(text)[:MOST_SAID]).strip()
    return f": {shown}" if shown else ""


def _sentence(document: Any, deep: int = 4) -> str:
    """The first text under one of the usual names."""
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return _sentence(document[0], deep - 1) if document and deep else ""
    if isinstance(document, dict) and deep:
        return next(filter(None, (_sentence(document.get(name), deep - 1) for name in SAID)), "")
    return ""
