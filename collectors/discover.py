"""Looks around on this machine: exporters and servers that answer, and logs that can be read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchkeeper.errors import CollectError
from watchkeeper.model import metric_name
from watchkeeper.outbound import Outbound

from .exposition import Exposition
from .fetch import fetch
from .openmetrics import ACCEPT

#: The usual ports of well-known exporters, and of servers with a page of their own (Prometheus's list of default
#: port allocations, and the servers' own documentation).
PORTS = {
    2019: "caddy",
    2379: "etcd",
    3000: "grafana",
    7777: "nats",
    8000: "vllm",
    8002: "triton",
    8080: "cadvisor",
    8404: "haproxy",
    8428: "victoriametrics",
    9000: "minio",
    9090: "prometheus",
    9091: "pushgateway",
    9093: "alertmanager",
    9100: "node",
    9102: "statsd",
    9104: "mysqld",
    9113: "nginx",
    9114: "elasticsearch",
    9117: "apache",
    9121: "redis",
    9127: "pgbouncer",
    9150: "memcached",
    9153: "coredns",
    9187: "postgres",
    9216: "mongodb",
    9253: "php-fpm",
    9256: "process",
    9308: "kafka",
    9400: "dcgm",
    9404: "jmx",
    9419: "rabbitmq",
    9558: "systemd",
    15692: "rabbitmq",
}
#: What a page says of itself: metric name prefix -> job, looked up in this order.
MARKS = {
    "node_cpu": "node",
    "mysql_": "mysqld",
    "pg_": "postgres",
    "pgbouncer_": "pgbouncer",
    "redis_": "redis",
    "elasticsearch_": "elasticsearch",
    "haproxy_": "haproxy",
    "prometheus_tsdb_": "prometheus",
    "alertmanager_": "alertmanager",
    "grafana_": "grafana",
    "vm_": "victoriametrics",
    "rabbitmq_": "rabbitmq",
    "gnatsd_": "nats",
    "mongodb_": "mongodb",
    "memcached_": "memcached",
    "nginx_": "nginx",
    "apache_": "apache",
    "minio_": "minio",
    "coredns_": "coredns",
    "caddy_": "caddy",
    "kafka_": "kafka",
    "vllm:": "vllm",
    "nv_inference_": "triton",
    "DCGM_": "dcgm",
    "phpfpm_": "php-fpm",
    "namedprocess_": "process",
    "systemd_": "systemd",
    "container_": "cadvisor",
    "apiserver_": "kube-apiserver",
    "etcd_": "etcd",
}
#: Usual ports of servers that are read natively, without a password where they ask for none -> kind of collector.
SERVERS = {6379: "redis", 11211: "memcached"}
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
    outbound: Outbound,
    ports: Sequence[int] = tuple(PORTS),
    servers: Mapping[int, str] = SERVERS,
    host: str = "127.0.0.1",
) -> list[dict[str, Any]]:
    """Settings of collectors: ``openmetrics`` for each port whose /metrics is a page of samples, and the native ones
    of servers that answer without a password and have no exporter among those.
    """
    pages = [page for page in await asyncio.gather(*(_look(outbound, host, port) for port in ports)) if page]
    told = {page["job"] for page in pages}
    asked = [(port, kind) for port, kind in servers.items() if kind not in told]
    found = await asyncio.gather(*(_native(outbound, host, port, kind) for port, kind in asked))
    return [*pages, *(settings for settings in found if settings)]


def place_of(kind: str, target: str) -> str:
    """Where a source of that kind reads, as ``discover`` would write it: this host by number, the usual port named."""
    found = target.replace("localhost", "127.0.0.1")
    port = next((port for port, one in SERVERS.items() if one == kind), None)
    return f"{found}:{port}" if port is not None and ":" not in found else found


async def _native(outbound: Outbound, host: str, port: int, kind: str) -> dict[str, Any] | None:
    from .memcached import Memcached
    from .redis import Redis

    made = {"redis": Redis, "memcached": Memcached}[kind]
    settings = {"name": f"{kind}-{port}", "address": f"{host}:{port}"}
    part = made(**settings, timeout=TIMEOUT)
    try:
        await part.collect(datetime.now(UTC), outbound)
    except CollectError:
        return None  # nobody there, somebody else, or one that asks who we are
    finally:
        await part.close()
    return {"kind": kind, **settings, "labels": {"job": kind}}


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
