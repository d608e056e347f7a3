"""Who is asking, in which language, zone and theme: set by the guard, read by callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from watchkeeper.clock import Clock

from .client import Credentials, EngineClient
from .i18n import Words
from .permissions import Permission, allows

Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in user."""

    name: str
    role: str
    language: str
    time_zone: str
    who: Credentials


@dataclass(frozen=True, slots=True)
class Caller:
    """Everything a page needs to draw itself for one person."""

    principal: Principal
    words: Words
    theme: Theme
    engine: EngineClient
    refresh_seconds: float
    clock: Clock
    changed: Callable[[], None] = lambda: None  #: to be called when what the engine knows of this user was changed
    address: str = ""  #: path and query of the document that is asked for; empty for all else

    @property
    def view(self) -> tuple[str, str, str, str]:
        """All of the caller that an answer for many readers may depend on."""
        return self.principal.role, self.words.language, self.words.zone.key, self.theme

    def may(self, permission: Permission) -> bool:
        return allows(self.principal.role, permission)

    def now(self) -> datetime:
        return self.clock.now()

    async def get(self, path: str, **query: Any) -> Any:
        return await self.engine.call("GET", path, self.principal.who, query=query)

    async def change_own(self, **settings: str) -> None:
        """The user's own language or time zone, in force from the next request on."""
        await self.send("PATCH", "/api/wk/session", settings)
        self.changed()

    async def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        return await self.engine.call(method, path, self.principal.who, body=dict(body))


_CURRENT: ContextVar[Caller | None] = ContextVar("dashboard_caller", default=None)


def current() -> Caller:
    """The caller of this request; outside of a guarded request there is none, which is a mistake in the code."""
    caller = _CURRENT.get()
    if caller is None:
        raise RuntimeError("no caller: this code runs outside the guard")
    return caller


def set_current(caller: Caller | None) -> None:
    """For the guard and for tests."""
    _CURRENT.set(caller)
