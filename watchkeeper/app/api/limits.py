"""The size limit of request bodies, counted as the bytes come: a declared length may be missing or a lie."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Largest request body taken in.
MAX_BODY = 32 << 20


def too_large(limit: int = MAX_BODY) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit >> 20} MiB")


class BodyLimit:
    """Stops reading, and answers 413, at the first byte over the limit."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise too_large(self._limit)
            return message

        await self._app(scope, counted, send)
