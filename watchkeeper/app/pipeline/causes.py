"""Where an incident began: services that deviate, changes just before, and the dependency graph between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.deviation import Deviation
from analytics.rootcause import Candidate, candidates
from analytics.topology import reached
from watchkeeper.app.pipeline.blame import changes_before
from watchkeeper.app.pipeline.log_templates import LINES
from watchkeeper.app.pipeline.score import SCORE
from watchkeeper.model import Incident, Labels

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: Scores count from so long before the incident to so long after; what was usual is from the hour before that.
BEFORE, AFTER, USUAL = timedelta(minutes=10), timedelta(minutes=5), timedelta(hours=1)
#: A change just before is worth as much as a metric at this strength.
CHANGE = 0.5
#: Services looked at, and candidates named.
MOST_SERVICES, MOST_CANDIDATES = 100, 5


def causes_of(engine: Engine, unit: Unit, incident: Incident) -> list[dict[str, Any]]:
    """Candidates, the likeliest first, each with its evidence; empty where the incident names no service."""
    service = incident.labels.get("service", "")
    if not service:
        return []
    edges = list(engine.cataloguing.edges())
    near = [service, *sorted(reached(service, edges) - {service})][:MOST_SERVICES]
    end = min(incident.opened_at + AFTER, engine.clock.now())
    changes = [one for one in changes_before(engine, unit, incident) if one["service"] in near]
    found = [*_scored(engine, near, end), *_changed(changes)]
    graph = [(edge.source, edge.target) for edge in edges if edge.source in near and edge.target in near]
    ranked = [one for one in candidates(_joined(found), graph) if one.score > 0][:MOST_CANDIDATES]
    kinds = {one.id: one.text for one in engine.log_metrics.kinds(10_000)} if ranked else {}
    return [_shown(one, changes, kinds) for one in ranked]


def cause_line(place: int, one: Mapping[str, Any]) -> str:
    """A candidate, told before the chain."""
    seen = [f"{each['metric']} {each['strength']:.2f}" for each in one["evidence"]]
    seen += [f"{each['kind']} {each['title']}" for each in one["changes"]]
    why = f", explained by {one['explained_by']} ({one['explained']:.0%})" if one["explained_by"] else ""
    return f"cause {place}: {one['service']} {one['score']:.2f}{why}: {'; '.join(seen)}"


def _scored(engine: Engine, near: Sequence[str], end: datetime) -> list[Deviation]:
    """Anomaly scores of these services: their height during the incident beyond what was usual before."""
    # RE2 as PromQL reads it, in a string of PromQL
    chosen = "|".join(re.escape(name) for name in near).replace("\\", "\\\\").replace('"', '\\"')
    series, window = f'{SCORE}{{service=~"{chosen}"}}', round((BEFORE + AFTER).total_seconds())
    peaks = engine.judging.ask(f"max_over_time({series}[{window}s])", end)
    earlier = f"quantile_over_time(0.95, {series}[{round(USUAL.total_seconds())}s] offset {window}s)"
    usual = {_own(labels): value for labels, value in engine.judging.ask(earlier, end)}
    found = []
    for labels, peak in peaks:
        own, before = dict(labels), min(usual.get(_own(labels), 0.0), 1.0)
        strength = max(0.0, peak - before)
        if strength > 0:
            found.append(
                Deviation(
                    node=own["service"],
                    metric=_name(own),
                    kind="score",
                    strength=min(strength, 1.0),
                    amount=strength,
                    before=before,
                    during=peak,
                    rising=True,
                )
            )
    return found


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
        if one.node in changed and one.kind != "change"
        else one
        for one in found
    ]


def _own(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _name(own: Mapping[str, str]) -> str:
    """``node_load1{instance="a"}`` as the scored series is written; without the service, which is said already."""
    inside = ",".join(
        f'{key}="{value}"' for key, value in sorted(own.items()) if key not in ("__name__", "metric", "service", "job")
    )
    return f"{own.get('metric', '')}{{{inside}}}" if inside else own.get("metric", "")


def _shown(one: Candidate, changes: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> dict[str, Any]:
    evidence = [
        {name: value for name, value in asdict(each).items() if name in ("metric", "strength", "before", "during")}
        | {"text": _template(each.metric, kinds)}
        for each in one.evidence
        if each.kind != "change"
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


def _template(metric: str, kinds: Mapping[str, str]) -> str:
    """What lines of a kind say, where the metric counts them."""
    if not metric.startswith(LINES):
        return ""
    found = re.search(r'template="(\w+)"', metric)
    return kinds.get(found.group(1), "") if found else ""
