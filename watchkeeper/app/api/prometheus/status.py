"""What Prometheus tells about itself, told of this engine."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from watchkeeper import __version__
from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.answers import Parameters, engine_of, rfc3339, success, whole
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.model import METRIC_NAME, Labels
from watchkeeper.promql import QueryLimits, format_duration
from watchkeeper.promql.engine import DEFAULT_LOOKBACK

router = APIRouter(prefix="/api/v1/status", dependencies=[Depends(read)])

#: Clients choose their ways by this version: the language is Prometheus 3's.
LANGUAGE = "3.0.0"
#: The part of the past whose series are counted: what Prometheus holds in its head.
HEAD = timedelta(hours=2)
#: Rows of each list of ``tsdb`` when nothing is said.
MOST = 10


@router.get("/buildinfo")
def buildinfo() -> Response:
    return success(
        {
            "version": LANGUAGE,
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "application": f"watchkeeper {__version__}",
        }
    )


@router.get("/runtimeinfo")
def runtimeinfo(request: Request) -> Response:
    engine = engine_of(request)
    return success(
        {
            "startTime": rfc3339(engine.started_at),
            "CWD": "",
            "serverTime": rfc3339(engine.clock.now()),
            "reloadConfigSuccess": not engine.judging.reload_error,
            "lastConfigTime": rfc3339(engine.reload_tried_at or engine.started_at),
            "corruptionCount": int(engine.samples.stats().get("damaged_frames", 0)),
            "goroutineCount": threading.active_count(),
            "GOMAXPROCS": os.cpu_count() or 1,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": format_duration(engine.config.store.retention),
            "timeSeriesCount": engine.samples.stats().get("series", 0),
        }
    )


@router.get("/flags")
def flags(request: Request) -> Response:
    """What Prometheus has flags for, as it is here."""
    engine, limits = engine_of(request), QueryLimits()
    size = engine.config.store.retention_bytes
    return success(
        {
            "query.lookback-delta": format_duration(DEFAULT_LOOKBACK),
            "query.max-samples": str(limits.max_samples),
            "query.timeout": format_duration(timedelta(seconds=limits.timeout_seconds)),
            "storage.tsdb.retention.size": "0B" if size is None else f"{size}B",
            "storage.tsdb.retention.time": format_duration(engine.config.store.retention),
            "web.listen-address": engine.config.engine.listen,
        }
    )


@router.get("/config")
def config(request: Request) -> Response:
    """The part of the configuration that Prometheus has too, in its words: no addresses of people, no secrets."""
    engine = engine_of(request)
    jobs: dict[str, list[str]] = {}
    for source in list(engine.sources.values()):
        labels = source.health_labels
        jobs.setdefault(labels.get("job", source.name), []).append(labels.get("instance", source.name))
    said = {
        "global": {
            "scrape_interval": format_duration(engine.config.collect.interval),
            "evaluation_interval": format_duration(engine.config.rules.interval),
            "external_labels": dict(engine.config.rules.external_labels),
        },
        "rule_files": [f"{folder}/*.y*ml" for folder in engine.config.rules.directories],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": sorted(found)}]} for job, found in sorted(jobs.items())
        ],
    }
    return success({"yaml": yaml.safe_dump(said, sort_keys=False, allow_unicode=True)})


@router.get("/walreplay")
def walreplay() -> Response:
    """The log is read before the first request is answered: it always stands at its end."""
    return success({"min": 0, "max": 0, "current": 0})


@router.get("/tsdb")
def tsdb(request: Request, found: Parameters) -> Response:
    engine, most = engine_of(request), whole(found, "limit") or MOST
    now = engine.clock.now()
    series = engine.samples.series([], to_ms(now - HEAD), to_ms(now))
    names, pairs = Counter[str](), Counter[tuple[str, str]]()
    for one in series:
        pairs.update(one)
    names.update({value: count for (name, value), count in pairs.items() if name == METRIC_NAME})
    values, memory = Counter[str](), Counter[str]()
    for (name, value), count in pairs.items():
        values[name] += 1
        memory[name] += len(value.encode("utf-8", "replace")) * count
    return success(
        {
            "headStats": _head(engine, series, len(pairs)),
            "seriesCountByMetricName": _most(names, most),
            "labelValueCountByLabelName": _most(values, most),
            "memoryInBytesByLabelName": _most(memory, most),
            "seriesCountByLabelValuePair": _most(
                {f"{name}={value}": count for (name, value), count in pairs.items()}, most
            ),
        }
    )


def _head(engine: Engine, series: list[Labels], pairs: int) -> dict[str, Any]:
    stats = engine.samples.stats()
    return {
        "numSeries": len(series),
        "numLabelPairs": pairs,
        "chunkCount": int(stats.get("chunks", 0)),
        "minTime": int(stats.get("oldest_ms", 0)),
        "maxTime": int(stats.get("newest_ms", 0)),
    }


def _most(counts: Mapping[str, int], most: int) -> list[dict[str, Any]]:
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:most]
    return [{"name": name, "value": count} for name, count in rows]
