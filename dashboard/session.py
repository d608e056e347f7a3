"""Who a session cookie belongs to, never older than a second.

The engine counts changes of users and sessions; that count is asked once a second for everybody, and while it stands
still, what is known of a session is believed for a while.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from watchkeeper.clock import Clock

from .client import Credentials, EngineClient, EngineDownError, EngineError
from .context import Principal
from .settings import Settings
from .shared import Shared

#: Seconds the count of changes is believed: a disabled user is out this soon.
FRESH_SECONDS = 0.9
#: Seconds a session is believed while nothing changes; then it is asked for again, as it may have run out.
BELIEVED_SECONDS = 60.0
#: Seconds a session seen valid may still see the "engine is down" banner while the engine is silent.
GRACE_SECONDS = 1800.0
#: Sessions remembered.
REMEMBERED = 5000
#: Longest cookie looked at.
MAX_COOKIE = 200
CHANGES = "/api/wk/session/changes"
_NEVER = itertools.count()  #: texts that are never the same twice


@dataclass(frozen=True, slots=True)
class Seen:
    principal: Principal | None
    at: float  #: monotonic seconds
    changes: str  #: the engine's count when it was asked


class Sessions:
    """Looks sessions up. Session ids are kept only as hashes."""

    def __init__(self, engine: EngineClient, settings: Settings, clock: Clock) -> None:
        self._engine, self._settings, self._clock = engine, settings, clock
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        self._changes = Shared(clock, FRESH_SECONDS)

    async def principal(self, session: str) -> Principal | None:
        """The session's user, None when it is not valid. Raises EngineDownError when nobody can tell."""
        if not session or len(session) > MAX_COOKIE or not session.isascii() or not session.isprintable():
            return None
        key, now = hashlib.sha256(session.encode()).digest(), self._clock.monotonic()
        seen = self._seen.get(key)
        changes = await self._count(session)
        if seen is not None and seen.changes == changes and now - seen.at < BELIEVED_SECONDS:
            return seen.principal
        found = await self._ask(session)
        if self._seen.get(key) is seen:  # else it was forgotten or learned meanwhile, and this answer may be old
            self._remember(key, Seen(found, now, changes))
        return found

    def remembered(self, session: str) -> Principal | None:
        """Who it was when the engine last answered: enough to say in his language that it does not answer now."""
        seen = self._seen.get(hashlib.sha256(session.encode()).digest())
        fresh = seen is not None and self._clock.monotonic() - seen.at < GRACE_SECONDS
        return seen.principal if seen is not None and fresh else None

    def forget(self, session: str) -> None:
        self._seen.pop(hashlib.sha256(session.encode()).digest(), None)

    async def _count(self, session: str) -> str:
        """The engine's count of changes; a text of its own where this session may not ask."""
        answer = await self._changes.get("", lambda: self._engine.raw("GET", CHANGES, Credentials(session)))
        return answer.body.decode("utf-8", "replace") if answer.status == 200 else f"unknown {next(_NEVER)}"

    async def _ask(self, session: str) -> Principal | None:
        try:
            answer = await self._engine.call("GET", "/api/wk/session", Credentials(session))
        except EngineError as error:
            if error.status in (401, 403):
                return None
            raise EngineDownError(str(error), since=self._clock.now()) from None
        return self._principal(session, answer)

    def _principal(self, session: str, answer: dict[str, Any]) -> Principal:
        user = answer["user"]
        return Principal(
            name=user["name"],
            role=user["role"],
            language=user.get("language") or self._settings.language,
            time_zone=user.get("time_zone") or self._settings.time_zone,
            who=Credentials(session, answer["csrf"]),
        )

    def _remember(self, key: bytes, seen: Seen) -> None:
        self._seen[key] = seen
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
