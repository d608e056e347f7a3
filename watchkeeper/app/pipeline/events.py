"""What others tell, taken in: who speaks is made sure of, names become ours, rows are added once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.config.events import Webhook
from watchkeeper.errors import AccessError
from watchkeeper.model import Event
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.hooks import BUILTIN
from watchkeeper.wire.hooks.read import told

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Deliveries that speak of older times are passed over: names of deliveries are kept a little longer than this.
OLDEST = timedelta(days=366)
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
    environment = hook.environments.get(one.environment, one.environment) or hook.environment
    return replace(one, service=service, environment=environment, source=hook.name)


def told_by(engine: Engine, who: str, found: Sequence[Event], now: datetime) -> list[Event]:
    """Events that came over the API; those that are new."""
    with engine.state.begin() as unit:
        added = unit.events.add([replace(one, source=BY_API + who) for one in found], at=now)
        if added:
            unit.audit.append(who, "event", added[0].id, {"events": [one.id for one in added]}, at=now)
    return added
