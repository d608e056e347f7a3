"""Several engines on one PostgreSQL: one acts, the others collect and wait. Alone on SQLite an engine always leads."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from watchkeeper.app.paths import DataDir, write_private
from watchkeeper.store.state import State
from watchkeeper.store.state.lease import Lease
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)


class Leading:
    """Keeps the lease in a thread of its own: a busy event loop must not cost it."""

    def __init__(self, state: State, lease: Lease | None, telemetry: Telemetry) -> None:
        self.state, self.lease, self._telemetry = state, lease, telemetry
        self.led = lease is None  #: it has begun to act
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        telemetry.leader.set(float(self.led))

    def __call__(self) -> bool:
        """True while this engine surely is the one that acts."""
        return self.lease is None or (self.led and self.lease.token > 0)

    @property
    def token(self) -> int:
        return self.lease.token if self.lease is not None else 0

    def start(self, lead: Callable[[], Coroutine[Any, Any, None]], lost: Callable[[], None]) -> bool:
        """True when it leads at once. Later ``lead`` is run in this loop; ``lost`` when it must stop to act."""
        if self.lease is None:
            return True
        loop = asyncio.get_running_loop()
        first = self._take()
        started: list[asyncio.Future[None]] = []

        def begin() -> None:
            started.append(asyncio.ensure_future(lead()))
            started[-1].add_done_callback(lambda done: lost() if done.cancelled() or done.exception() else None)

        self._thread = threading.Thread(
            target=self._watch,
            args=(self.lease, lambda: loop.call_soon_threadsafe(begin), lambda: loop.call_soon_threadsafe(lost)),
            name="lease",
            daemon=True,
        )
        self._thread.start()
        if not first:
            log.info("another engine acts; this one collects and waits", holder=self.lease.holder)
        return first

    def _take(self) -> bool:
        token = self.lease.take() if self.lease is not None else 0
        if not token:
            return False
        self.state.fence = token  # the number itself: however late we are, from now on it binds every write
        self.led = True
        self._telemetry.leader.set(1.0)
        log.info("this engine acts", token=token)
        return True

    def _watch(self, lease: Lease, begin: Callable[[], object], lost: Callable[[], object]) -> None:
        while not self._over.wait(lease.renew_every if self.led else lease.ask_every):
            if not self.led:
                if self._take():
                    begin()
                continue
            kept = lease.keep()
            self._telemetry.leader.set(float(lease.token > 0))
            if not kept:
                log.error("the lease is lost: this engine ends, and comes back as one that waits")
                lost()
                return

    def stop(self) -> None:
        """Ask no more; the next one may take over at once."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self.lease is not None:
            self.lease.release()


def lease_of(url: str, data: DataDir) -> Lease | None:
    """The lease of a PostgreSQL; none for SQLite, which the lock of the data folder keeps to one process.

    Raises ConfigError when a pooler stands before the database that shares sessions.
    """
    if not url.startswith("postgresql"):
        return None
    found = Lease(url, _identity(data))
    found.refuse_pooler()
    return found


def _identity(data: DataDir) -> str:
    """Of this data folder, made once: its lock sees to it that one process alone has the name."""
    file = data.root / "engine.id"
    if not file.exists():
        write_private(file, secrets.token_hex(16))
    return file.read_text(encoding="utf-8").strip()
