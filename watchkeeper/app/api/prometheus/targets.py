"""Targets, and what their metrics say about themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.answers import Parameters, engine_of, first, quoted, rfc3339, success, whole
from watchkeeper.app.api.prometheus.series import matchers
from watchkeeper.app.pipeline.collect import Source, bound
from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher
from watchkeeper.promql import format_duration
from watchkeeper.promql.matching import matches

router = APIRouter(prefix="/api/v1", dependencies=[Depends(read)])

STATES = ("", "any", "active", "dropped")


@router.get("/targets")
def targets(request: Request, found: Parameters) -> Response:
    state, pool = first(found, "state").lower(), first(found, "scrapePool")
    if state not in STATES:
        state = ""  # as Prometheus: an unknown state is every state
    sources = [] if state == "dropped" else _sources(request)
    rows = [_target(one) for one in sources if pool in ("", _pool(one))]
    return success({"activeTargets": rows, "droppedTargets": [], "droppedTargetCounts": {}})


@router.get("/scrape_pools")
def scrape_pools(request: Request) -> Response:
    return success({"scrapePools": sorted({_pool(one) for one in _sources(request)})})


@router.get("/targets/metadata")
def targets_metadata(request: Request, found: Parameters) -> Response:
    wanted, metric, limit = _match_target(found), first(found, "metric"), whole(found, "limit")
    rows = []
    for source in _sources(request):
        if all(matches(one, [source.health_labels.get(one.name, "")])[0] for one in wanted):
            rows += [
                {"target": dict(source.health_labels), **({} if metric else {"metric": name}), **about}
                for name, about in _metadata(source)
                if metric in ("", name)
            ]
    return success(rows[:limit] if limit else rows)


@router.get("/metadata")
def metadata(request: Request, found: Parameters) -> Response:
    metric = first(found, "metric")
    limit, each = whole(found, "limit"), whole(found, "limit_per_metric")
    rows: dict[str, list[Mapping[str, str]]] = {}
    for source in _sources(request):
        for name, about in _metadata(source):
            if metric not in ("", name) or (limit and name not in rows and len(rows) >= limit):
                continue
            kept = rows.setdefault(name, [])
            if about not in kept and not (each and len(kept) >= each):
                kept.append(about)
    return success(rows)


def _sources(request: Request) -> list[Source]:
    return list(engine_of(request).sources.values())


def _metadata(source: Source) -> Iterator[tuple[str, dict[str, str]]]:
    for name, about in dict(getattr(source.collector, "metadata", {})).items():
        yield name, {"type": about.type, "help": about.help, "unit": about.unit}


def _match_target(found: dict[str, list[str]]) -> Sequence[Matcher]:
    if not first(found, "match_target"):
        return ()
    groups = matchers(found, "match_target")
    if len(groups) > 1:
        raise QueryError(f'invalid parameter "match_target": one selector, not {quoted(str(len(groups)))}')
    return groups[0]


def _pool(source: Source) -> str:
    return source.health_labels.get("job", source.name)


def _target(source: Source) -> dict[str, Any]:
    interval = format_duration(source.interval)
    return {
        "discoveredLabels": {},
        "labels": source.health_labels,
        "scrapePool": _pool(source),
        "scrapeUrl": source.target,
        "globalUrl": source.target,
        "lastError": source.error,
        "lastScrape": rfc3339(source.last_at),
        "lastScrapeDuration": source.seconds,
        "health": {"up": "up", "failing": "down"}.get(source.state, "unknown"),
        "scrapeInterval": interval,
        "scrapeTimeout": f"{bound(source.collector):g}s",
    }
