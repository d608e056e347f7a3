"""Services: the catalogue with what is watched of each, who calls whom, and one service with everything about it."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request

from analytics.topology import dependents, layers, single_points
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.catalogue.coverage import PARTS, Covered, golden, ratio
from watchkeeper.app.catalogue.kinds import Kind, KindPanel, Words, about_service
from watchkeeper.app.catalogue.signals import panels
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.catalogue import Cataloguing
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.model import Edge, Service

#: Cells of inventories that could not be used and are named in an answer.
LEFT_OUT = 100
router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


@router.get("/services")
def services(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    book, now = engine.cataloguing, engine.clock.now()
    edges, open_incidents = book.edges(), _incidents(engine)
    above, single = dependents(edges), single_points(book.services, edges)
    known = book.all_services
    layer = layers([one.name for one in known], edges)
    rows = [
        _row(engine, one, edges)
        | {
            "incidents": open_incidents.get(one.name, []),
            "dependents": sorted(above.get(one.name, ())),
            "single_point": one.name in single,
            "layer": layer[one.name],
        }
        for one in known
    ]
    found = list(book.rows.values())
    return {
        "now": now.isoformat(),
        "looked_at": shapes.moment(book.looked_at),
        "services": rows,
        "edges": [{"source": edge.source, "target": edge.target, "origin": edge.origin} for edge in edges],
        "coverage": {
            "ratio": _known(ratio(found)),
            "target": engine.config.catalogue.coverage_target,
            "parts": {part: _known(ratio(found, part)) for part in PARTS},
        },
        "left_out": list(engine.loaded.left_out[:LEFT_OUT]),
        "left_out_in_all": len(engine.loaded.left_out),
    }


@router.get("/services/{name}")
def one_service(request: Request, name: str) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    book = engine.cataloguing
    found = next((one for one in book.all_services if one.name == name), None)
    if found is None:
        raise HTTPException(404, f"no service is named {name!r}")
    kind = book.kinds.get(found.kind)
    edges = book.edges()
    covered = book.rows.get(name)
    return _row(engine, found, edges) | {
        "looked_at": shapes.moment(book.looked_at),
        "incidents": _incidents(engine).get(name, []),
        "dependents": sorted(dependents(edges).get(name, ())),
        "single_point": name in single_points(book.services, edges),
        "addresses": [_public(one) for one in found.addresses],
        "limits": dict(found.limits),
        "requests": dict(found.requests),
        "links": dict(found.links),
        "contacts": list(found.contacts),
        "signals": [
            {"signal": signal, "query": about_service(query, name), "value": _value(covered, signal)}
            for signal, query in golden(kind).items()
        ],
        "panels": [_panel(one, name) for one in panels(kind)],
        "rules_of": _rules_of(engine, covered),
        "metrics": _metrics(kind),
        "rules": list(covered.rules) if covered else [],
        "objectives": [one.name for one in engine.config.objectives.items if one.service == name],
        "sources": [
            {"name": one.name, "kind": one.kind, "state": one.state, "error": one.error, "series": one.series}
            for one in _sources(engine, name)
        ],
    }


def _row(engine: Engine, one: Service, edges: list[Edge]) -> dict[str, Any]:
    book: Cataloguing = engine.cataloguing
    kind, covered, mine = book.kinds.get(one.kind), book.rows.get(one.name), _sources(engine, one.name)
    return {
        "name": one.name,
        "title": one.title or one.name,
        "kind": one.kind,
        "kind_title": _both(kind.title) if kind else {"en": one.kind, "zh-CN": one.kind},
        "tier": one.tier,
        "owner": one.owner,
        "environment": one.environment,
        "region": one.region,
        "pool": one.pool,
        "origin": one.origin,
        "replicas": one.replicas,
        "place": one.place,
        "gone_at": shapes.moment(one.gone_at),
        "available": one.available,
        "state": _state(one, mine),
        "collectors": len(mine),
        "failing": sum(source.state == "failing" for source in mine),
        "coverage": covered.parts if covered else None,
        "depends_on": sorted({edge.target for edge in edges if edge.source == one.name}),
    }


def _sources(engine: Engine, name: str) -> list[Source]:
    return [one for one in list(engine.sources.values()) if one.health_labels.get("service") == name]


def _state(one: Service, sources: list[Source]) -> str:
    """Of everything that is collected of it and that its cluster says: nothing is unknown, not healthy."""
    if one.gone_at is not None:
        return "gone"
    states = {source.state for source in sources} - {"starting"}
    if one.available is not None:
        states.add("up" if one.available >= (one.replicas or 0) else "failing")
    if not states:
        return "unknown"
    return "failing" if "failing" in states or any(source.reached is False for source in sources) else "up"


def _incidents(engine: Engine) -> dict[str, list[str]]:
    """Service -> ids of its open incidents."""
    with engine.state.read() as unit:
        rows = unit.incidents.open()
    found: dict[str, list[str]] = {}
    for row in rows:
        service = row.labels.get("service", "")
        if service:
            found.setdefault(service, []).append(row.id)
    return found


def _public(address: str) -> str:
    from watchkeeper.telemetry import redact

    return redact(address)


def _panel(one: KindPanel, service: str) -> dict[str, Any]:
    return {
        "title": _both(one.title), "query": about_service(one.query, service), "unit": one.unit, "family": one.family,
    }  # fmt: skip


def _rules_of(engine: Engine, covered: Covered | None) -> dict[str, list[str]]:
    """Family -> alert rules that see series of the service."""
    mine = set(covered.rules) if covered else set()
    found: dict[str, set[str]] = {}
    for _, rule in engine.judging.book.alert_rules():
        if rule.name in mine:
            found.setdefault(rule.labels.get("family", ""), set()).add(rule.name)
    return {family: sorted(names) for family, names in sorted(found.items())}


def _metrics(kind: Kind | None) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "type": one.type,
            "unit": one.unit,
            "good": one.good,
            "family": one.family or (kind.family if kind else ""),
            "help": _both(one.help),
        }
        for one in (kind.metrics if kind else [])
    ]


def _both(words: Words) -> dict[str, str]:
    return {"en": words.en, "zh-CN": words.zh}


def _value(covered: Any, signal: str) -> float | None:
    return _known(covered.signals.get(signal, math.nan)) if covered else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
