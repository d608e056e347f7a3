"""Which changes came just before an incident: of its service first, then of what that depends on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.changes import blamed_changes
from watchkeeper.model import CHANGES

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: A change that began earlier is not looked for, however long it took.
LONGEST = timedelta(days=1)
#: Named at most.
MOST = 10


def changes_before(engine: Engine, unit: Unit, service: str, at: datetime) -> list[dict[str, Any]]:
    """Events as the API shows them, each with ``whose``: own or dependency."""
    if not service:
        return []
    from watchkeeper.app.api import shapes

    blame = engine.config.events.blame
    needs = sorted({edge.target for edge in engine.cataloguing.edges() if edge.source == service})
    rows = unit.events.find(since=at - blame - LONGEST, until=at, kinds=CHANGES, services=[service, *needs])
    found = blamed_changes(rows, at, service, needs, blame)[:MOST]
    return [{**shapes.event(one), "whose": whose} for one, whose in found]
