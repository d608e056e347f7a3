"""Where an incident began: services that deviate, changes just before, and the dependency graph between them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from analytics.deviation import Deviation
from analytics.rootcause import Candidate, candidates
from analytics.topology import reached
from watchkeeper.app.pipeline.blame import changes_before
from watchkeeper.app.pipeline.log_templates import LINES
from watchkeeper.app.pipeline.suspects import LONGEST_WAIT, SERVICE, alerted, deviating, period_of
from watchkeeper.model import Incident

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: Labels that name a host, the first that is there counts.
HOST = ("host", "instance")
#: A change just before is worth as much as a metric at this strength.
CHANGE = 0.5
#: Services looked at, and candidates named.
MOST_SERVICES, MOST_CANDIDATES = 100, 5
#: What is weaker than this share of a candidate's strongest deviation is not told beside it.
WORTH_TELLING = 0.2
#: What is told of a deviation.
SHOWN = ("kind", "metric", "strength", "before", "during")


def causes_of(engine: Engine, unit: Unit, incident: Incident) -> list[dict[str, Any]]:
    """Candidates, the likeliest first, each with its evidence.

    An incident that names no service, but a host, is looked into on that host. Empty where it names neither, and where
    nothing is known but its own alerts.
    """
    service = incident.labels.get(SERVICE, "")
    if not service:
        return _on_host(engine, unit, incident)
    edges = list(engine.cataloguing.edges())
    near = [service, *sorted(reached(service, edges) - {service})][:MOST_SERVICES]
    alerts = unit.alerts.recent(incident.opened_at - LONGEST_WAIT)
    own, others = ([one for one in alerts if (one.incident_id == incident.id) is mine] for mine in (True, False))
    period = period_of(incident, own, engine.clock.now())
    changes = [one for one in changes_before(engine, unit, incident) if one["service"] in near]
    found = [*deviating(engine, near, period), *alerted(others, near, period), *_changed(changes)]
    if not found:
        return []
    graph = [(edge.source, edge.target) for edge in edges if edge.source in near and edge.target in near]
    ranked = [one for one in candidates(_joined([*found, *alerted(own, near, period)]), graph) if one.score > 0][
        :MOST_CANDIDATES
    ]
    kinds = {one.id: one.text for one in engine.log_metrics.kinds(10_000)} if ranked else {}
    return [_shown(one, changes, kinds) for one in ranked]


def _on_host(engine: Engine, unit: Unit, incident: Incident) -> list[dict[str, Any]]:
    """What deviates on the host of an incident, as one candidate: there is no graph of hosts."""
    key = next((name for name in HOST if incident.labels.get(name)), "")
    if not key:
        return []
    near, alerts = [incident.labels[key]], unit.alerts.recent(incident.opened_at - LONGEST_WAIT)
    own = [one for one in alerts if one.incident_id == incident.id]
    period = period_of(incident, own, engine.clock.now())
    found = deviating(engine, near, period, key)
    ranked = [one for one in candidates(found, []) if one.score > 0] if found else []
    return [_shown(one, [], {}) | {"host": True} for one in ranked[:MOST_CANDIDATES]]


def _changed(changes: Sequence[Mapping[str, Any]]) -> list[Deviation]:
    return [
        Deviation(
            node=one["service"],
            metric="",
            kind="change",
            strength=CHANGE,
            amount=CHANGE,
            before=0,
            during=1,
            rising=True,
        )
        for one in changes
    ]


def _joined(found: Sequence[Deviation]) -> list[Deviation]:
    """A service that was changed and deviates is likelier than by either alone."""
    changed = {one.node for one in found if one.kind == "change"}
    return [
        replace(one, strength=1.0 - (1.0 - one.strength) * (1.0 - CHANGE))
        if one.node in changed and one.kind not in ("change", "alert")
        else one
        for one in found
    ]


def _shown(one: Candidate, changes: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> dict[str, Any]:
    evidence = [
        {name: _known(value) for name, value in asdict(each).items() if name in SHOWN}
        | {"text": _template(each.metric, kinds)}
        for each in one.evidence
        if each.kind != "change" and each.strength >= WORTH_TELLING * one.strength
    ]
    return {
        "service": one.node,
        "score": one.score,
        "strength": one.strength,
        "explained": one.explained,
        "explained_by": one.explained_by,
        "suffering": list(one.suffering),
        "evidence": evidence,
        "changes": [row for row in changes if row["service"] == one.node],
    }


def _known(value: Any) -> Any:
    """None for what is not known: JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _template(metric: str, kinds: Mapping[str, str]) -> str:
    """What lines of a kind say, where the metric counts them."""
    if LINES not in metric:
        return ""
    found = re.search(r'template="(\w+)"', metric)
    return kinds.get(found.group(1), "") if found else ""
