"""Sources from the configuration, from this machine and from discovery."""

from __future__ import annotations

import dataclasses
import difflib
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from collectors.discover import discover_logs
from collectors.scrape_config import ScrapeTarget
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.own import OwnMetrics
from watchkeeper.config import Config
from watchkeeper.config import Source as SourceConfig
from watchkeeper.errors import ConfigError
from watchkeeper.registry import Registry

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine


def build_source(row: SourceConfig, config: Config, registry: Registry) -> Source:
    """One configured source. Raises ConfigError for wrong options."""
    labels = dict(row.labels)
    if row.service:
        labels.setdefault("service", row.service)
    if config.environment:
        labels.setdefault("environment", config.environment)
    return _source(registry, row.kind, row.name, row.interval or config.collect.interval, labels, row.options)


def host_sources(config: Config, registry: Registry, engine: Engine) -> list[Source]:
    """This machine, its logs, and the engine's own metrics."""
    labels = {"environment": config.environment} if config.environment else {}
    found = [_own(config, engine)]
    if config.collect.host:
        found.append(_source(registry, "host", "host", config.collect.host_interval, {**labels, "job": "node"}, {}))
    if config.collect.own_logs:
        paths = [path for found in discover_logs() for path in found["paths"]]
        paths.append(str(engine.data.logs / "*.log"))
        interval = config.collect.host_interval
        found.append(_source(registry, "log_file", "logs", interval, labels, {"paths": paths}))
    return found


def discovered_source(settings: dict[str, Any], config: Config, registry: Registry) -> Source:
    """One exporter found on a local port."""
    options = {key: value for key, value in settings.items() if key not in ("kind", "name")}
    labels = {"environment": config.environment} if config.environment else {}
    return _source(registry, settings["kind"], settings["name"], config.collect.interval, labels, options)


def target_source(name: str, target: ScrapeTarget, config: Config, registry: Registry) -> Source:
    """One target of Prometheus's ``scrape_configs``."""
    labels = {**({"environment": config.environment} if config.environment else {}), **target.labels}
    return _source(registry, "openmetrics", name, target.interval, labels, dict(target.options))


def _own(config: Config, engine: Engine) -> Source:
    labels = {"job": "watchkeeper", "instance": f"{socket.gethostname()}:{config.engine.listen.rpartition(':')[2]}"}
    collector = OwnMetrics(engine.telemetry.registry, labels, engine.refresh_own)
    return Source("watchkeeper", "own", config.collect.interval, collector, labels, target="own metrics")


def _source(
    registry: Registry, kind: str, name: str, interval: timedelta, labels: dict[str, str], options: dict[str, Any]
) -> Source:
    merged = {**labels, **options.pop("labels", {})} if "labels" in options else labels
    collector = _built(registry, kind, {**options, "name": name, "labels": merged})
    shown = getattr(collector, "target_labels", None) or {"job": name, **merged}
    places = ("url", "api_server", "address", "server", "host", "listen", "endpoint", "region")
    named = (row.get(name) for row in (options, *options.get("steps", [])) if isinstance(row, dict) for name in places)
    place = str(next(filter(None, named), "") or ", ".join(options.get("paths", [])) or kind)
    return Source(name, kind, interval, collector, dict(shown), target=_without_secrets(place))


def _built(registry: Registry, kind: str, options: dict[str, Any]) -> Any:
    """Raises ConfigError, of an option that is missing or unknown with what to look at."""
    try:
        return registry.build(kind, options, key="collectors")
    except ConfigError as error:
        if error.message not in ("Unexpected keyword argument", "Field required"):
            raise
        known = [one.name for one in dataclasses.fields(registry.get(kind))]
        near = difflib.get_close_matches(error.key.rpartition(".")[2], known, n=1)
        hint = f"did you mean {near[0]!r}? " if near and "keyword" in error.message else ""
        said = f"{error.message}; {hint}`watchkeeper collectors options {kind}` lists what it takes"
        raise ConfigError(said, key=error.key) from None


def _without_secrets(place: str) -> str:
    from watchkeeper.telemetry import redact

    return redact(place)
