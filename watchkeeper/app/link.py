"""What an agent asks its engine, beside writing samples: over the same address, certificate and token."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from watchkeeper.app.pipeline.forward import OF_THE_SAMPLES, context_of, credentials, retry_after
from watchkeeper.config.schema import RemoteWrite
from watchkeeper.errors import ConfigError, OutboundError, WatchkeeperError
from watchkeeper.outbound import Outbound

#: Where an engine takes samples; its other paths begin where this one does.
WRITE = "/api/v1/write"
Ask = Callable[..., Awaitable[Any]]


class LinkError(WatchkeeperError):
    """The engine did not answer as hoped. ``refused``: for what was sent; anything else may be tried again."""

    def __init__(self, reason: str, text: str, *, refused: bool = False, after: float | None = None) -> None:
        self.reason, self.refused, self.after = reason, refused, after
        super().__init__(text)


class EngineLink:
    """The engine that the first row of ``remote_write`` names."""

    def __init__(self, options: RemoteWrite, agent: str) -> None:
        """Raises ConfigError."""
        if not options.url.endswith(WRITE):
            said = f"an agent asks its engine beside {WRITE}; the url of the first row must end so"
            raise ConfigError(said, key="remote_write")
        self._options, self._context = options, context_of(options)
        self._base = f"{options.url.removesuffix(WRITE)}/api/wk/agents/{quote(agent, safe='')}"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Ask]:
        """``await ask(method, path, headers=, content=)``: the JSON of the answer. It raises LinkError."""
        outbound = Outbound(allow_private=True, verify=self._context, max_connections=2)

        async def ask(method: str, path: str, *, headers: dict[str, str] | None = None, content: bytes = b"") -> Any:
            return await self._asked(outbound, method, path, headers or {}, content)

        try:
            yield ask
        finally:
            await outbound.aclose()

    async def _asked(self, outbound: Outbound, method: str, path: str, headers: dict[str, str], content: bytes) -> Any:
        sent = {**credentials(self._options), **headers}
        timeout = self._options.timeout.total_seconds()
        try:
            answer = await outbound.request(
                method, f"{self._base}/{path}", headers=sent, content=content, timeout=timeout, max_bytes=16 << 20
            )
        except OutboundError as error:
            raise LinkError(error.reason, str(error)) from None
        if not 200 <= answer.status < 300:
            said = answer.body[:300].decode("utf-8", "replace").strip() or f"HTTP {answer.status}"
            refused = answer.status in OF_THE_SAMPLES
            raise LinkError(f"http_{answer.status}", said, refused=refused, after=retry_after(answer))
        try:
            return json.loads(answer.body)
        except ValueError:
            raise LinkError("protocol", "the answer is no JSON") from None
