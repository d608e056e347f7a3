"""Which changes came just before an incident: of its service first, then of what that depends on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from analytics.changes import blamed_changes
from watchkeeper.model import CHANGES, Event, Incident

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: A change that began earlier is not looked for, however long it took.
LONGEST = timedelta(days=1)
#: Named at most.
MOST = 10


def blamed(engine: Engine, unit: Unit, incident: Incident) -> list[tuple[Event, str]]:
    """Events with whose they are, own or dependency."""
    service, at = incident.labels.get("service", ""), incident.opened_at
    if not service:
        return []
    needs = _needs(engine, service)
    since = at - engine.config.events.blame - LONGEST
    rows = unit.events.find(since=since, until=at, kinds=CHANGES, services=[service, *needs])
    return blamed_changes(rows, at, service, needs, engine.config.events.blame)[:MOST]


def changes_before(engine: Engine, unit: Unit, incident: Incident) -> list[dict[str, Any]]:
    """The same as the API shows them."""
    return _shown(blamed(engine, unit, incident))


def changes_known(engine: Engine, incident: Incident) -> list[dict[str, Any]]:
    """The same from the events of the last weeks that are in memory: for lists of incidents."""
    service, at, blame = incident.labels.get("service", ""), incident.opened_at, engine.config.events.blame
    if not service:
        return []
    needs = _needs(engine, service)
    recent = engine.eventing.read(engine.clock.now()).recent
    rows = [one for one in recent if one.kind in CHANGES and at - blame - LONGEST <= one.start <= at]
    return _shown(blamed_changes(rows, at, service, needs, blame)[:MOST])


def _needs(engine: Engine, service: str) -> list[str]:
    return sorted({edge.target for edge in engine.cataloguing.edges() if edge.source == service})


def _shown(found: Sequence[tuple[Event, str]]) -> list[dict[str, Any]]:
    from watchkeeper.app.api import shapes

    return [{**shapes.event(one), "whose": whose} for one, whose in found]
