"""Collectors: each reads one source and answers ticks, log lines and its own ledger."""

from typing import Any

from .aliyun_cloudmonitor import AliyunCloudmonitor
from .aws_cloudwatch import AwsCloudwatch
from .container_logs import ContainerLogs
from .conversation_probe import ConversationProbe
from .dns_probe import DnsProbe
from .elasticsearch_logs import ElasticsearchLogs
from .event_stream import EventStream
from .host import Host
from .host_security import HostSecurity
from .http_probe import HttpProbe
from .icmp_probe import IcmpProbe
from .journald import Journald
from .json_http import JsonHttp
from .kubernetes import Kubernetes
from .log_file import LogFile
from .loki_logs import LokiLogs
from .memcached import Memcached
from .mysql import Mysql
from .nginx_status import NginxStatus
from .openmetrics import Openmetrics
from .page_probe import PageProbe
from .postgresql import Postgresql
from .prometheus_api import PrometheusApi
from .redis import Redis
from .snmp import Snmp
from .sql_probe import SqlProbe
from .sql_query import SqlQuery
from .statsd import Statsd
from .syslog import Syslog
from .tcp_probe import TcpProbe
from .tencent_monitor import TencentMonitor
from .tls_probe import TlsProbe

#: Kind -> class. The kind is the word in ``watchkeeper.yaml`` and the first part of ``Tick.target``.
BUILTIN: dict[str, type[Any]] = {
    "aliyun_cloudmonitor": AliyunCloudmonitor,
    "aws_cloudwatch": AwsCloudwatch,
    "container_logs": ContainerLogs,
    "conversation_probe": ConversationProbe,
    "dns_probe": DnsProbe,
    "elasticsearch_logs": ElasticsearchLogs,
    "event_stream": EventStream,
    "host": Host,
    "host_security": HostSecurity,
    "http_probe": HttpProbe,
    "icmp_probe": IcmpProbe,
    "journald": Journald,
    "json_http": JsonHttp,
    "kubernetes": Kubernetes,
    "log_file": LogFile,
    "loki_logs": LokiLogs,
    "memcached": Memcached,
    "mysql": Mysql,
    "nginx_status": NginxStatus,
    "openmetrics": Openmetrics,
    "page_probe": PageProbe,
    "postgresql": Postgresql,
    "prometheus_api": PrometheusApi,
    "redis": Redis,
    "snmp": Snmp,
    "sql_probe": SqlProbe,
    "sql_query": SqlQuery,
    "statsd": Statsd,
    "syslog": Syslog,
    "tcp_probe": TcpProbe,
    "tencent_monitor": TencentMonitor,
    "tls_probe": TlsProbe,
}

__all__ = ["BUILTIN"]
