"""The command line's way to a running engine: its HTTP API, with the token `up` wrote for this user."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watchkeeper.app.paths import DataDir, default_data
from watchkeeper.errors import WatchkeeperError
from watchkeeper.pinned import pinned

#: Seconds the engine has to answer: a report takes the longest.
TIMEOUT = 60.0


class ClientError(WatchkeeperError):
    """The engine did not answer, or answered no."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the engine and to nobody it names."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """JSON in, JSON out, against the engine of one data directory."""

    def __init__(self, url: str, token: str, certificate: str | None = None) -> None:
        """``certificate``: the engine's own; with it nothing else is trusted, without it the system's are."""
        self.url, self._certificate = url.rstrip("/"), certificate
        self._who = {"Authorization": f"Bearer {token}"}

    @classmethod
    def of(cls, data: Path | None) -> Client:
        """The engine that runs on this data directory. Raises ClientError when none does."""
        place = DataDir(data or Path(os.environ.get("WATCHKEEPER_DATA") or default_data()))
        try:
            about = json.loads(place.engine_ready.read_text(encoding="utf-8"))
            token = place.cli_token.read_text(encoding="utf-8").strip()
            url, certificate = str(about["url"]), about.get("certificate")
        except (OSError, ValueError, KeyError, TypeError):
            raise ClientError(f"no engine is running on {place.root}; start one with `watchkeeper up`") from None
        return cls(url, token, certificate)

    def signed_in(self, user: str, password: str) -> Client:
        """The same engine, asked by this person, who has just typed the password. Raises ClientError."""
        found = self.post("/api/wk/login", {"name": user, "password": password})
        person = Client(self.url, "", self._certificate)
        person._who = {"Authorization": f"Session {found['session']}", "X-CSRF-Token": str(found["csrf"])}
        return person

    def get(self, path: str, **query: str | int | float) -> Any:
        tail = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self._json(self.raw("GET", path + tail))

    def post(self, path: str, body: Mapping[str, Any], *, timeout: float = TIMEOUT) -> Any:
        return self._json(self.raw("POST", path, json.dumps(body).encode(), timeout=timeout))

    def _json(self, answer: bytes) -> Any:
        try:
            return json.loads(answer)
        except ValueError:
            raise ClientError(f"what answers at {self.url} is not an engine: its answer is no JSON") from None

    def raw(self, method: str, path: str, body: bytes | None = None, *, timeout: float = TIMEOUT) -> bytes:
        headers = {**self._who, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)  # noqa: S310 - our own engine's address
        # an environment's proxy must not see the token of an engine on this machine
        ways: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
        if self._certificate:
            ways.append(urllib.request.HTTPSHandler(context=pinned(Path(self._certificate))))
        try:
            with urllib.request.build_opener(*ways).open(request, timeout=timeout) as response:
                found: bytes = response.read()
                return found
        except urllib.error.HTTPError as error:
            raise ClientError(_reason(error)) from None
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(f"the engine at {self.url} does not answer: {error}") from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        body = json.loads(error.read())
    except (ValueError, OSError, http.client.HTTPException):
        return f"HTTP {error.code}"
    return str(body.get("error") or body) if isinstance(body, dict) else f"HTTP {error.code}: {body}"
