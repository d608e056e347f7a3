"""Bodies are counted as they come, whatever was declared."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from watchkeeper.asgi import BodyLimit

LIMIT = 1 << 20


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * (LIMIT // 4)


@pytest.mark.parametrize(("count", "status"), [(0, 200), (4, 200), (5, 413)])
async def test_a_body_of_unknown_length_is_stopped_at_the_limit(count: int, status: int) -> None:
    app = Starlette(routes=[Route("/", echo, methods=["POST"])])
    transport = httpx2.ASGITransport(BodyLimit(app, LIMIT))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:
        answer = await http.post("/", content=pieces(count))
    assert answer.status_code == status
    if status == 413:
        assert answer.text == "the body is larger than 1 MiB"


async def test_an_application_that_takes_the_refusal_for_a_crash_answers_413_all_the_same() -> None:
    async def swallowing(request: Request) -> Response:
        try:
            await request.body()
        except HTTPException:
            return PlainTextResponse("crash", 500)
        return PlainTextResponse("fine")

    app = Starlette(routes=[Route("/", swallowing, methods=["POST"])])
    transport = httpx2.ASGITransport(BodyLimit(app, LIMIT))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:
        answers = [await http.post("/", content=pieces(count)) for count in (4, 5)]
    assert [(one.status_code, one.text.strip()) for one in answers] == [
        (200, "fine"),
        (413, "the body is larger than 1 MiB"),
    ]
