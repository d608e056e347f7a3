"""What every preset needs: a body as JSON, values by path, times as others write them, and what is kept of a body."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.hooks.signature import Verify

#: Characters of a body that are kept with its event.
KEPT = 4000
#: Characters of a title.
TITLE = 300
_SECRET = re.compile(r"pass|secret|token|sign|credential|authorization|api_?key", re.IGNORECASE)
#: How others say that something ended well, badly, or goes on.
STATUS: Mapping[str, EventStatus] = {
    **dict.fromkeys(("success", "succeeded", "ok", "passed", "published", "inactive"), EventStatus.OK),
    **dict.fromkeys(
        ("failure", "failed", "error", "timed_out", "unstable", "aborted", "startup_failure"), EventStatus.FAILED
    ),
    **dict.fromkeys(("cancelled", "canceled", "skipped", "not_built", "stale"), EventStatus.CANCELLED),
    **dict.fromkeys(
        ("running", "in_progress", "started", "created", "pending", "queued", "waiting"), EventStatus.RUNNING
    ),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery whose sender is known."""

    headers: Mapping[str, str]  #: names in lower case
    data: Mapping[str, Any]
    digest: str  #: SHA-256 of the body
    now: datetime


@dataclass(frozen=True, slots=True)
class Hook:
    """One preset: how its deliveries are verified, and what they say."""

    verify: Verify
    read: Callable[[Told], list[Event]]  #: empty when the delivery is nothing we keep; raises WireError


def told(headers: Mapping[str, str], body: bytes, now: datetime) -> Told:
    """Raises WireError for a body that is no JSON object."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise WireError("the body is no JSON; set the webhook's content type to application/json") from None
    if not isinstance(data, dict):
        raise WireError("the body is JSON but no object")
    return Told(headers, data, hashlib.sha256(body).hexdigest(), now)


def at(data: Any, *path: str) -> Any:
    """The value down these keys; None where one is missing."""
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def text(data: Any, *path: str) -> str:
    """The value as text; empty where it is missing or no plain value."""
    found = at(data, *path)
    return str(found)[:1000] if isinstance(found, str | int | float) and not isinstance(found, bool) else ""


def first(*values: str) -> str:
    """The first that says something."""
    return next((value for value in values if value), "")


def rows(data: Any, *path: str) -> list[Any]:
    found = at(data, *path)
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def moment(value: Any) -> datetime | None:
    """ISO-8601, GitLab's ``2021-04-28 21:50:00 +0200`` and ``... UTC``, or seconds or milliseconds since the epoch."""
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        written = re.sub(r" (UTC|[+-]\d{2}:?\d{2})$", lambda found: found[1].replace("UTC", "+00:00"), str(value))
        parsed = datetime.fromisoformat(written)
    except (ValueError, OverflowError, OSError):
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def status(word: str) -> EventStatus | None:
    """None for a word that nobody explained."""
    return STATUS.get(word.lower())


def title(words: str) -> str:
    """The first line, cut."""
    return (words.strip().splitlines() or [""])[0][:TITLE]


def event(
    told: Told, kind: EventKind, words: str, *, labels: Mapping[str, str], delivery: str = "", **more: Any
) -> Event:
    """An event of this delivery. Named by its body, which the sender signed: a replay could change a header's id."""
    said = {name: value for name, value in labels.items() if value}
    return Event(
        kind=kind, title=title(words), labels=said, delivery=delivery or told.digest, payload=kept(told.data), **more
    )


def kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a body: without anything that may be a secret, and cut."""
    clean = _clean(data, 0)
    written = json.dumps(clean, ensure_ascii=False, default=str)
    return clean if len(written) <= KEPT else {"cut": written[:KEPT]}


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        if depth > 6:
            return "..."
        return {str(k): "***" if _SECRET.search(str(k)) else _clean(v, depth + 1) for k, v in list(value.items())[:100]}
    if isinstance(value, list):
        return [_clean(one, depth + 1) for one in value[:20]] if depth <= 6 else "..."
    return value[:500] if isinstance(value, str) else value
