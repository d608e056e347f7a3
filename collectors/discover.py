"""Looks around on this machine: exporters that answer, and logs that can be read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watchkeeper.errors import CollectError
from watchkeeper.model import metric_name
from watchkeeper.outbound import Outbound

from .exposition import Exposition
from .fetch import fetch
from .openmetrics import ACCEPT

#: The usual ports of well-known exporters (Prometheus's list of default port allocations).
PORTS = {
    9100: "node",
    9104: "mysqld",
    9187: "postgres",
    9121: "redis",
    9114: "elasticsearch",
    9090: "prometheus",
    8404: "haproxy",
}
#: What a page says of itself: metric name prefix -> job, looked up in this order.
MARKS = {
    "node_cpu": "node",
    "mysql_": "mysqld",
    "pg_": "postgres",
    "redis_": "redis",
    "elasticsearch_": "elasticsearch",
    "haproxy_": "haproxy",
    "prometheus_tsdb_": "prometheus",
}
#: Where Linux distributions keep their logs.
LOGS = (
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/auth.log",
    "/var/log/secure",
    "/var/log/kern.log",
    "/var/log/nginx/access.log",
    "/var/log/nginx/error.log",
    "/var/log/apache2/error.log",
    "/var/log/mysql/error.log",
    "/var/log/redis/redis-server.log",
    "/var/log/haproxy.log",
)
#: Seconds an exporter has to answer, and the largest page looked at.
TIMEOUT, MAX_BYTES = 1.0, 16 << 20


async def discover(
    outbound: Outbound, ports: Sequence[int] = tuple(PORTS), host: str = "127.0.0.1"
) -> list[dict[str, Any]]:
    """Settings of an ``openmetrics`` collector for each port whose /metrics is a page of samples."""
    found = await asyncio.gather(*(_look(outbound, host, port) for port in ports))
    return [settings for settings in found if settings is not None]


async def _look(outbound: Outbound, host: str, port: int) -> dict[str, Any] | None:
    url = f"http://{host}:{port}/metrics"
    try:
        answer = await fetch(outbound, "GET", url, headers={"accept": ACCEPT}, timeout=TIMEOUT, max_bytes=MAX_BYTES)
        page = Exposition({}, sample_limit=1_000_000)
        openmetrics = "openmetrics-text" in answer.headers.get("content-type", "")
        await asyncio.to_thread(page.read, answer.body, openmetrics=openmetrics)
    except CollectError:
        return None  # nobody there, or somebody else
    if not len(page.layout):
        return None
    job = _job({metric_name(series) for series in page.layout.series}, port)
    return {"kind": "openmetrics", "name": f"{job}-{port}", "job": job, "url": url}


def _job(names: set[str], port: int) -> str:
    for prefix, job in MARKS.items():
        if any(name.startswith(prefix) for name in names):
            return job
    return PORTS.get(port, f"port-{port}")


def discover_logs(candidates: Sequence[str] = LOGS) -> list[dict[str, Any]]:
    """Settings of one ``log_file`` collector for the standard logs that can be read here, or none."""
    readable = [path for path in candidates if os.access(path, os.R_OK) and Path(path).is_file()]
    return [{"kind": "log_file", "name": "system", "paths": readable}] if readable else []
