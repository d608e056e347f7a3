"""The engine as the dashboard sees it: HTTP to one address, with the caller's own session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from watchkeeper.clock import Clock
from watchkeeper.errors import OutboundError, WatchkeeperError
from watchkeeper.outbound import Outbound, Response
from watchkeeper.pinned import pinned

from .settings import Settings

#: Seconds the engine has for one answer.
TIMEOUT = 10.0
#: Largest answer taken in; a chart of 200 series over 11,000 points fits.
MAX_BYTES = 64 << 20
#: The one route that is told a visitor's address, and the header that makes it believed.
LOGIN, PROOF = "/api/wk/login", "x-watchkeeper-dashboard"


class EngineDownError(WatchkeeperError):
    """The engine does not answer. ``since`` is when that began."""

    def __init__(self, message: str, *, since: datetime) -> None:
        self.since = since
        super().__init__(message)


class EngineError(WatchkeeperError):
    """The engine answered no. ``retry_after`` in seconds where it said so."""

    def __init__(self, message: str, *, status: int, kind: str = "", retry_after: int | None = None) -> None:
        self.status, self.kind, self.retry_after = status, kind, retry_after
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a browser's session proves to the engine."""

    session: str = ""
    csrf: str = ""

    def headers(self, method: str) -> dict[str, str]:
        if not self.session:
            return {}
        sent = {"authorization": f"Session {self.session}"}
        return sent if method == "GET" else {**sent, "x-csrf-token": self.csrf}


NOBODY = Credentials()


class EngineClient:
    """Asks the engine; remembers since when it has been silent."""

    def __init__(self, settings: Settings, clock: Clock, *, timeout: float = TIMEOUT) -> None:
        self._base = settings.engine_url.rstrip("/")
        context = pinned(settings.engine_ca_file) if settings.engine_ca_file else None
        self._outbound = Outbound(allow_private=True, verify=context, max_connections=20)
        self._clock, self._timeout, self._proof = clock, timeout, settings.proof_file
        self.down_since: datetime | None = None

    async def raw(
        self,
        method: str,
        path: str,
        who: Credentials = NOBODY,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
    ) -> Response:
        """One exchange, whatever its status. Raises EngineDownError."""
        url = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"accept": "application/json", "content-type": "application/json", **who.headers(method)}
        if path == LOGIN:
            headers |= self._proved()
        content = b"" if body is None else json.dumps(body).encode()
        try:
            answer = await self._outbound.request(
                method, url, headers=headers, content=content, timeout=self._timeout, max_bytes=MAX_BYTES
            )
        except OutboundError as error:
            self.down_since = self.down_since or self._clock.now()
            raise EngineDownError(str(error), since=self.down_since) from None
        self.down_since = None
        return answer

    def _proved(self) -> dict[str, str]:
        """The engine writes the file at its start, which may come after ours."""
        try:
            return {PROOF: self._proof.read_text(encoding="utf-8").strip()} if self._proof else {}
        except (FileNotFoundError, PermissionError):
            return {}

    async def call(
        self,
        method: str,
        path: str,
        who: Credentials = NOBODY,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON of a good answer. Raises EngineDownError and EngineError."""
        answer = await self.raw(method, path, who, body=body, query=query)
        found = _json(answer)
        if answer.status >= 400:
            raise _refusal(answer, found)
        return found

    async def aclose(self) -> None:
        await self._outbound.aclose()


def _json(answer: Response) -> Any:
    try:
        return json.loads(answer.body) if answer.body else {}
    except (ValueError, RecursionError):
        raise EngineError("the engine's answer is not JSON", status=502, kind="protocol") from None


def _refusal(answer: Response, found: Any) -> EngineError:
    said = found if isinstance(found, dict) else {}
    wait = answer.headers.get("retry-after", "")
    return EngineError(
        str(said.get("error") or f"HTTP {answer.status}"),
        status=answer.status,
        kind=str(said.get("kind") or said.get("errorType") or ""),
        retry_after=int(wait) if wait.isdigit() else None,
    )
