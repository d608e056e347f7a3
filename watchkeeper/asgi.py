"""The size limit of request bodies, counted as the bytes come: a declared length may be missing or a lie."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit >> 20} MiB")


class BodyLimit:
    """Stops reading, and answers 413, at the first byte over the limit."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken, refused = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise too_large(self._limit)
            return message

        async def honest(message: Message) -> None:
            """Some applications take the refusal for a crash of their own and answer 500."""
            nonlocal refused
            if taken > self._limit and message.get("status", 413) != 413:
                refused = True
                await _refuse(send, too_large(self._limit).detail)
            elif not refused:
                await send(message)

        try:
            await self._app(scope, counted, honest)
        except HTTPException as error:  # what reads the body outside of an application that answers it
            if error.status_code != 413 or taken <= self._limit or refused:
                raise
            await _refuse(send, str(error.detail))


async def _refuse(send: Send, reason: str) -> None:
    body = f"{reason}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
