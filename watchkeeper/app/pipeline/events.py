"""What others tell, taken in: who speaks is made sure of, names become ours, rows are added once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from analytics.changes import deployments
from watchkeeper.app.pipeline.events_series import AGES, BACK, SHOWN, Known, gate_rows, rows
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.schedule import every
from watchkeeper.config.events import Webhook
from watchkeeper.environments import environment_of
from watchkeeper.errors import AccessError
from watchkeeper.model import Event, EventKind
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.hooks import BUILTIN
from watchkeeper.wire.hooks.read import told

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Deliveries that speak of older times are passed over: names of deliveries are kept a little longer than this.
OLDEST = timedelta(days=366)
#: The first publishing after a start.
FIRST = timedelta(seconds=10)
#: How often incidents are looked at again when no event came.
AGAIN = timedelta(minutes=5)
#: Rows read at most: some 140 a day for 35 days.
MOST = 5000
#: How long rows of events are kept: a finding stays open until somebody says that it is not.
KEPT = timedelta(days=400)
#: Source of what came over the API: `api:<user>`.
BY_API = "api:"


def delivered(
    engine: Engine, name: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> tuple[list[Event], int]:
    """What was new, and how many events the delivery told. Raises AccessError and WireError; every end is counted."""
    hook = next((one for one in engine.config.events.webhooks if one.name == name), None)
    try:
        if hook is None:
            raise AccessError("no such webhook, or not its secret")
        found = _understood(hook, headers, body, now)
    except (AccessError, WireError) as error:
        outcome = "refused" if isinstance(error, AccessError) else "malformed"
        engine.telemetry.webhooks.labels(name if hook else "unknown", outcome).inc()
        raise
    with engine.state.begin() as unit:
        added = unit.events.add(found, at=now)
    _taken(engine, added, now)
    outcome = "accepted" if added else "repeated" if found else "ignored"
    engine.telemetry.webhooks.labels(name, outcome).inc()
    return added, len(found)


def _understood(hook: Webhook, headers: Mapping[str, str], body: bytes, now: datetime) -> list[Event]:
    preset = BUILTIN[hook.preset]
    preset.verify(headers, body, hook.secret.get_secret_value(), now)
    events = preset.read(told(headers, body, now))
    return [_ours(hook, one) for one in events if now - one.start <= OLDEST]


def _ours(hook: Webhook, one: Event) -> Event:
    service = hook.services.get(one.service, one.service.rpartition("/")[2])
    environment = hook.environments.get(one.environment) or environment_of(one.environment) or hook.environment
    return replace(one, service=service, environment=environment, source=hook.name)


def told_by(engine: Engine, who: str, found: Sequence[Event], now: datetime) -> list[Event]:
    """Events that came over the API; those that are new."""
    with engine.state.begin() as unit:
        ours = [replace(one, source=BY_API + who, environment=environment_of(one.environment)) for one in found]
        added = unit.events.add(ours, at=now)
        if added:
            unit.audit.append(who, "event", added[0].id, {"events": [one.id for one in added]}, at=now)
    _taken(engine, added, now)
    return added


def _taken(engine: Engine, added: Sequence[Event], now: datetime) -> None:
    engine.eventing.changed |= bool(added)
    engine.entities.found(added, now)


@dataclass(slots=True, eq=False)
class Eventing:
    """``step`` publishes; the table is read again when something was added, and every ``AGAIN`` for the incidents."""

    engine: Engine
    changed: bool = True
    known: Known | None = None
    _read_at: datetime | None = None
    _published: Published = field(default_factory=lambda: Published("events"))

    async def step(self, now: datetime) -> None:
        rows_now = await asyncio.to_thread(self._rows, now)
        if rows_now or len(self._published):
            await self.engine.collecting.append_derived("events", [self._published.tick(rows_now, now)])

    def _rows(self, now: datetime) -> list[Row]:
        known = self.read(now)
        recent = [one for one in known.folded if one.end is not None and now - one.end < SHOWN]
        judged = [(one, self.engine.gating.judge(one, now).verdict) for one in recent]
        return [
            *rows(known, self.engine.config, self.engine.cataloguing.services, now),
            *gate_rows(judged, now),
        ]

    def read(self, now: datetime) -> Known:
        """What is known now."""
        wait = timedelta() if self._soaking(now) else AGAIN
        due = self._read_at is None or now - self._read_at >= wait
        if self.known is None or self.changed or due:
            self.changed = False
            with self.engine.state.read() as unit:
                recent = unit.events.find(since=now - BACK, limit=MOST)
                self.known = Known(
                    recent=recent,
                    findings=unit.events.find(since=now - KEPT, kinds=[EventKind.SECURITY_FINDING], limit=MOST),
                    last={kind: unit.events.last_good(kind) for kind in AGES},
                    counts=unit.events.counts(),
                    incidents=unit.incidents.recent(now - BACK, MOST),
                    folded=deployments(recent),
                )
            self._read_at = now
        return self.known

    def _soaking(self, now: datetime) -> bool:
        """Deploys of the last hour: incidents after them are looked for at every step."""
        folded = self.known.folded if self.known else []
        return any(one.end is not None and now - one.end < SHOWN for one in folded)


def schedule(engine: Engine, now: datetime) -> None:
    engine.scheduler.add("events", every(engine.config.events.every, now + FIRST), engine.eventing.step)
