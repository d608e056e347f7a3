"""What a stream of events is, whatever server keeps it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

#: Events asked for at a time.
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """One event: when it came into the stream, and what it says."""

    time_ms: int
    fields: Mapping[str, str]
    text: str  #: the whole of it


@dataclass(slots=True)
class Read:
    """What one reading brought, in the stream's order."""

    events: list[Event] = field(default_factory=list)
    repeated: int = 0  #: events that came again and are known
    lag: int | None = None  #: events the server has not given us yet, as it counts them; None: it does not say
    size: int = 0  #: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stream is and who asks; made anew for each reading, as secrets may change."""

    host: str
    port: int
    stream: str
    group: str
    username: str
    password: str
    mechanism: str  #: of SASL, for Kafka
    tls: ssl.SSLContext | None
    batch: int  #: events of one reading at most
    max_bytes: int  #: of one reading
    timeout: float  #: seconds


class Follower(Protocol):
    """Reads a stream on. What it hands on counts as read when ``read`` is called again: only then is the server told.

    A reading that fails hands on nothing, and what it was given comes again.
    """

    def position(self) -> dict[str, Any]:
        """Up to where events were handed on, as plain JSON data."""
        ...

    def restore(self, position: Mapping[str, Any]) -> None: ...

    async def read(self, place: Place) -> Read:
        """Raises CollectError."""
        ...

    async def close(self) -> None: ...


def payload(body: bytes) -> tuple[dict[str, str], str]:
    """(fields, text) of a message: the members of a JSON object as text; else none."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text) if text.lstrip()[:1] == "{" else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {}, text
    return {key: _word(value) for key, value in found.items()}, text


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
