"""A state database that answers from memory what nobody has written since: for simulations of very many steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from remediation import steady
from watchkeeper.store.state.database import State
from watchkeeper.store.state.repositories import Unit

#: How often the engine writes its clock down meanwhile: each write forgets what is known.
KEEP_EVERY = timedelta(minutes=10)
#: Reads that every step repeats. Others go to the database each time.
REPEATED = frozenset({("documents", "get"), ("actions", "active")})


class Remembering(State):
    """The same database; a repeated read is answered from memory until the next write transaction."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._known: dict[tuple[Any, ...], Any] = {}

    @contextmanager
    def begin(self) -> Iterator[Unit]:
        try:
            with super().begin() as unit:
                yield unit
        finally:
            self._known.clear()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        with ExitStack() as opened:
            yield _Lazy(self._known, lambda: opened.enter_context(super(Remembering, self).read()))  # type: ignore[misc]


class _Lazy:
    """A unit that opens its transaction only when something is asked that is not known."""

    def __init__(self, known: dict[tuple[Any, ...], Any], open_unit: Callable[[], Unit]) -> None:
        self._known, self._open = known, open_unit
        self._unit: Unit | None = None

    def real(self) -> Unit:
        if self._unit is None:
            self._unit = self._open()
        return self._unit

    def __getattr__(self, repository: str) -> _Repository:
        return _Repository(self, repository)


class _Repository:
    def __init__(self, unit: _Lazy, name: str) -> None:
        self._unit, self._name = unit, name

    def __getattr__(self, method: str) -> Any:
        if (self._name, method) not in REPEATED:
            return getattr(getattr(self._unit.real(), self._name), method)

        def ask(*arguments: Any) -> Any:
            key = (self._name, method, *arguments)
            known = self._unit._known
            if key not in known:
                known[key] = getattr(getattr(self._unit.real(), self._name), method)(*arguments)
            found = known[key]
            return list(found) if isinstance(found, list) else found

        return ask


@contextmanager
def without_threads() -> Iterator[None]:
    """``asyncio.to_thread`` calls at once: a simulation waits for nobody, and the hops would be most of its time."""

    async def at_once(call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        return call(*arguments, **options)

    kept = asyncio.to_thread
    asyncio.to_thread = at_once
    kept_every, steady.KEEP_EVERY = steady.KEEP_EVERY, KEEP_EVERY
    try:
        yield
    finally:
        asyncio.to_thread, steady.KEEP_EVERY = kept, kept_every
