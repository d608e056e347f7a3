"""The bytes of an answer that all readers of one kind get within a second.

Dash's way from a request to an answer costs some 4 ms of a process that has one core; a thousand open pages that
refresh every five seconds would need most of it for saying the same thing again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from watchkeeper.clock import Clock

from .context import current
from .shared import Shared

CALLBACKS = "/_dash-update-component"


class SharedAnswers:
    """ASGI, behind the guard and around everything else.

    ``shared`` are ids of callbacks whose answer depends on nothing but the values, ticks aside, and the reader's role,
    language, zone and theme.
    """

    def __init__(self, app: ASGIApp, clock: Clock, shared: Collection[str]) -> None:
        self._app, self._shared = app, shared
        self._answers = Shared(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != CALLBACKS or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        question = self._question(body)
        if question is None:
            await self._app(scope, _Given(body, receive), send)
            return

        async def make() -> list[Message]:
            messages: list[Message] = []

            async def keep(message: Message) -> None:
                messages.append(message)

            await self._app(scope, _Given(body, receive), keep)
            return messages

        for message in await self._answers.get((question, current().view, _encoding(scope)), make):
            await send(dict(message))

    def _question(self, body: bytes) -> str | None:
        """What the answer depends on; None for a callback that answers each reader for himself."""
        try:
            asked = json.loads(body)
            if asked["output"] not in self._shared:
                return None
            values = [_values(asked.get(place) or []) for place in ("inputs", "state")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # Dash says what is wrong with it
        return json.dumps([asked["output"], asked.get("outputs"), values], sort_keys=True)


def _values(parts: list[Any]) -> list[Any]:
    """The parts without ticks; a list of lists comes from ids with wildcards."""
    return [part for part in parts if not (isinstance(part, dict) and part.get("property") == "n_intervals")]


def _encoding(scope: Scope) -> bytes:
    return b",".join(value for name, value in scope["headers"] if name.lower() == b"accept-encoding")


async def _read(receive: Receive) -> bytes:
    """The whole body; the guard has limited it."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


class _Given:
    """``receive`` once more, for a body that was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
