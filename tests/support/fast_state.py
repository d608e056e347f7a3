"""A state database that answers from memory what nobody has written since: for simulations of very many steps."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from remediation import steady
from watchkeeper.store.state.database import State
from watchkeeper.store.state.repositories import Unit

T = TypeVar("T")
#: How often the engine writes its clock down meanwhile: each write forgets what is known.
KEEP_EVERY = timedelta(hours=1)


class Remembering(State):
    """The same database; a repeated read is answered from memory until a write transaction touches that repository."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._known: dict[tuple[Any, ...], Any] = {}

    @contextmanager
    def begin(self) -> Iterator[Unit]:
        used: set[str] = set()
        try:
            with super().begin() as unit:
                yield _Noting(unit, used)  # type: ignore[misc]
        finally:
            for key in [key for key in self._known if key[0] in used]:
                del self._known[key]

    def read(self) -> Any:
        return _View(self._known, super().read)


class _Noting:
    """A unit that notes whose rows its transaction may have changed."""

    def __init__(self, unit: Unit, used: set[str]) -> None:
        self._unit, self._used = unit, used

    def __getattr__(self, repository: str) -> Any:
        self._used.add(repository)
        return getattr(self._unit, repository)


class _View:
    """One read, whose transaction is opened only when something is asked that is not known."""

    def __init__(self, known: dict[tuple[Any, ...], Any], read: Callable[[], AbstractContextManager[Unit]]) -> None:
        self.known, self._read = known, read
        self._opened: AbstractContextManager[Unit] | None = None
        self._unit: Unit | None = None

    def __enter__(self) -> Any:
        self.documents, self.actions = _Repository(self, "documents"), _Repository(self, "actions")
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._opened is not None:
            self._opened.__exit__(*raised)

    def real(self) -> Unit:
        if self._unit is None:
            self._opened = self._read()
            self._unit = self._opened.__enter__()
        return self._unit

    def __getattr__(self, repository: str) -> Any:
        return getattr(self.real(), repository)


class _Repository:
    def __init__(self, view: _View, name: str) -> None:
        self._view, self._name = view, name

    def get(self, *arguments: Any) -> Any:
        return self._repeated("get", arguments)

    def active(self) -> Any:
        return list(self._repeated("active", ()))

    def _repeated(self, method: str, arguments: tuple[Any, ...]) -> Any:
        key = (self._name, method, *arguments)
        known = self._view.known
        if key not in known:
            known[key] = getattr(getattr(self._view.real(), self._name), method)(*arguments)
        return known[key]

    def __getattr__(self, method: str) -> Any:
        return getattr(getattr(self._view.real(), self._name), method)


class Counting(Remembering):
    """The same database; ``writes`` says how many transactions may have changed it."""

    writes = 0

    @contextmanager
    def begin(self) -> Iterator[Unit]:
        self.writes += 1
        with super().begin() as unit:
            yield unit


@contextmanager
def without_threads(keep_every: timedelta = KEEP_EVERY) -> Iterator[None]:
    """``asyncio.to_thread`` calls at once: a simulation waits for nobody, and the hops would be most of its time."""

    async def at_once(call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        return call(*arguments, **options)

    kept = asyncio.to_thread
    asyncio.to_thread = at_once
    kept_every, steady.KEEP_EVERY = steady.KEEP_EVERY, keep_every
    try:
        yield
    finally:
        asyncio.to_thread, steady.KEEP_EVERY = kept, kept_every


@contextmanager
def cycles_left_alone() -> Iterator[None]:
    """Python looks for cycles when this is over: in a simulation looking all the time is a fifth of it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


def run_at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that waits for nothing answers; a loop of its own would be much of a short step's time."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    work.close()
    raise AssertionError("it waits for something")
