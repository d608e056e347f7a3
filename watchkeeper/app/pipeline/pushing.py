"""Pushing: what short jobs leave is read again and again until it is replaced or deleted, as by a Pushgateway."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from collectors.base import Sheet
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.push_groups import Group, Key, families_of, key_of, restored, size_of
from watchkeeper.clock import Clock
from watchkeeper.model.series import fingerprint
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected
from watchkeeper.store.state import State
from watchkeeper.wire.errors import TooLargeError, WireError

#: Name of the one source that stands for all that was pushed.
SOURCE = "pushgateway"
#: Groups, and samples of all groups together, that are kept.
MOST_GROUPS, MOST_SAMPLES = 10_000, 200_000
#: Documents with one group each.
KEPT = "pushed/"


class Pushing:
    """A collector over what was pushed. Safe to call from many threads; what was answered is kept over a restart."""

    def __init__(self, state: State, clock: Clock, interval: timedelta, labels: dict[str, str]) -> None:
        self._state, self._clock, self._lock = state, clock, threading.Lock()
        self._sheet = Sheet(f"{SOURCE}/pushed", labels, honor=True, limit=MOST_SAMPLES + 2 * MOST_GROUPS)
        self.source = Source(SOURCE, SOURCE, interval, self, {"job": SOURCE, **labels}, target="/metrics/job/<job>")
        with state.read() as unit:
            kept = unit.documents.with_prefix(KEPT)
        self._groups: dict[Key, Group] = dict(map(restored, kept.values()))

    @property
    def any(self) -> bool:
        """Whether anything is kept."""
        return bool(self._groups)

    def push(self, path: str, body: bytes, *, replace: bool) -> None:
        """``replace``: the whole group (PUT), else families of the same names (POST). Raises WireError, StoreError."""
        key = key_of(path)
        with self._lock:
            before = self._groups.get(key, Group())
            try:
                families = families_of(body, key, MOST_SAMPLES)
            except WireError:
                if key in self._groups:
                    self._keep(key, Group(before.families, before.pushed, self._now()))
                raise
            after = Group({} if replace else dict(before.families), self._now(), before.failed)
            after.families |= families
            self._check_room(key, len(after) - len(before))
            self._keep(key, after)

    def delete(self, path: str) -> None:
        """Forget a group; one that is not there is no mistake. Raises WireError, StoreError."""
        key = key_of(path)
        with self._lock:
            if key in self._groups:
                with self._state.begin() as unit:
                    unit.documents.remove(KEPT + fingerprint(key))
                del self._groups[key]

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - others come to us
        with self._lock:
            readings = [row for key, group in self._groups.items() for row in group.readings(key)]
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick] if len(tick.layout) else [], rejected=dict(self._sheet.rejected))

    async def close(self) -> None:
        """Nothing is held."""

    def _keep(self, key: Key, group: Group) -> None:
        """The document first: what could not be kept was not taken."""
        with self._state.begin() as unit:
            unit.documents.put(KEPT + fingerprint(key), group.document(key), at=self._clock.now())
        self._groups[key] = group

    def _check_room(self, key: Key, more: int) -> None:
        if key not in self._groups and len(self._groups) >= MOST_GROUPS:
            raise TooLargeError(f"there are {MOST_GROUPS} groups already; delete some")
        if size_of(list(self._groups.values())) + more > MOST_SAMPLES:
            raise TooLargeError(f"more than {MOST_SAMPLES} samples would be kept; delete groups")

    def _now(self) -> float:
        return self._clock.now().timestamp()
