"""The command line's way to a running engine: its HTTP API, with the token `up` wrote for this user."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watchkeeper.app.paths import DataDir, default_data
from watchkeeper.errors import WatchkeeperError


class ClientError(WatchkeeperError):
    """The engine did not answer, or answered no."""


class Client:
    """JSON in, JSON out, against the engine of one data directory."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self._token = url.rstrip("/"), token

    @classmethod
    def of(cls, data: Path | None) -> Client:
        """The engine that runs on this data directory. Raises ClientError when none does."""
        place = DataDir(data or Path(os.environ.get("WATCHKEEPER_DATA") or default_data()))
        try:
            about = json.loads(place.engine_ready.read_text(encoding="utf-8"))
            token = place.cli_token.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            raise ClientError(f"no engine is running on {place.root}; start one with `watchkeeper up`") from None
        return cls(str(about["url"]), token)

    def get(self, path: str, **query: str | int | float) -> Any:
        tail = f"?{urllib.parse.urlencode(query)}" if query else ""
        return json.loads(self.raw("GET", path + tail))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return json.loads(self.raw("POST", path, json.dumps(body).encode()))

    def raw(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)  # noqa: S310 - our own engine's address
        context = ssl.create_default_context() if self.url.startswith("https") else None
        try:
            with urllib.request.urlopen(request, timeout=60, context=context) as response:  # noqa: S310 - as above
                found: bytes = response.read()
                return found
        except urllib.error.HTTPError as error:
            raise ClientError(_reason(error)) from None
        except OSError as error:
            raise ClientError(f"the engine at {self.url} does not answer: {error}") from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        body = json.loads(error.read())
        return str(body.get("error") or body)
    except ValueError:
        return f"HTTP {error.code}"
