"""What an agent asks its engine, beside writing samples: over the same address, certificate and token."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from watchkeeper.app.pipeline.credentials import Credentials
from watchkeeper.app.pipeline.sending import SendError, taken
from watchkeeper.clock import Clock
from watchkeeper.config.schema import RemoteWrite
from watchkeeper.errors import ConfigError
from watchkeeper.outbound import Outbound

#: Where an engine takes samples; its other paths begin where this one does.
WRITE = "/api/v1/write"
Ask = Callable[..., Awaitable[Any]]


class EngineLink:
    """The engine that the first row of ``remote_write`` names."""

    def __init__(self, options: RemoteWrite, agent: str, clock: Clock) -> None:
        """Raises ConfigError."""
        if not options.url.endswith(WRITE):
            said = f"an agent asks its engine beside {WRITE}; the url of the first row must end so"
            raise ConfigError(said, key="remote_write")
        self._options, self._known_by, self._clock = options, Credentials(options), clock
        self._base = f"{options.url.removesuffix(WRITE)}/api/wk/agents/{quote(agent, safe='')}"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Ask]:
        """``await ask(method, path, headers=, content=)``: the JSON of the answer. It raises SendError."""
        outbound = Outbound(allow_private=True, verify=self._known_by.context, max_connections=2)

        async def ask(method: str, path: str, *, headers: dict[str, str] | None = None, content: bytes = b"") -> Any:
            return await self._asked(outbound, method, path, headers or {}, content)

        try:
            yield ask
        finally:
            await outbound.aclose()

    async def _asked(self, outbound: Outbound, method: str, path: str, headers: dict[str, str], content: bytes) -> Any:
        sent = {**self._known_by.headers(), **headers}
        timeout = self._options.timeout.total_seconds()
        url = f"{self._base}/{path}"
        try:
            answer = await taken(
                outbound, method, url, headers=sent, content=content, timeout=timeout, max_bytes=16 << 20
            )
        except SendError as error:
            raise self._known_by.explained(error, self._clock.now()) from None
        try:
            return json.loads(answer.body)
        except ValueError:
            raise SendError("json", "the answer is no JSON") from None
