"""Collectors: each reads one source and answers ticks, log lines and its own ledger."""

from typing import Any

from .host import Host
from .http_probe import HttpProbe
from .json_http import JsonHttp
from .log_file import LogFile
from .nginx_status import NginxStatus
from .openmetrics import Openmetrics
from .prometheus_api import PrometheusApi
from .redis import Redis
from .sql_query import SqlQuery

#: Kind -> class. The kind is the word in ``watchkeeper.yaml`` and the first part of ``Tick.target``.
BUILTIN: dict[str, type[Any]] = {
    "host": Host,
    "http_probe": HttpProbe,
    "json_http": JsonHttp,
    "log_file": LogFile,
    "nginx_status": NginxStatus,
    "openmetrics": Openmetrics,
    "prometheus_api": PrometheusApi,
    "redis": Redis,
    "sql_query": SqlQuery,
}

__all__ = ["BUILTIN"]
