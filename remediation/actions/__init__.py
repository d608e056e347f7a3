"""Kinds of action: one file and one line here each."""

from __future__ import annotations

from typing import Any

from watchkeeper.registry import Registry

from .aliyun_ess import AliyunEss
from .aliyun_slb import AliyunSlb
from .aws_autoscaling import AwsAutoscaling
from .base import Kind
from .command import Command
from .dns_update import DnsUpdate
from .feature_flag import FeatureFlag
from .haproxy import Haproxy
from .kubernetes import Kubernetes
from .mysql import Mysql
from .nginx import Nginx
from .patroni import Patroni
from .redis_sentinel import RedisSentinel
from .supervisord import Supervisord
from .systemd import Systemd
from .tencent_as import TencentAs
from .tencent_clb import TencentClb
from .webhook import Webhook

BUILTIN: dict[str, type[Any]] = {
    "aliyun_ess": AliyunEss,
    "aliyun_slb": AliyunSlb,
    "aws_autoscaling": AwsAutoscaling,
    "command": Command,
    "dns_update": DnsUpdate,
    "feature_flag": FeatureFlag,
    "haproxy": Haproxy,
    "kubernetes": Kubernetes,
    "mysql": Mysql,
    "nginx": Nginx,
    "patroni": Patroni,
    "redis_sentinel": RedisSentinel,
    "supervisord": Supervisord,
    "systemd": Systemd,
    "tencent_as": TencentAs,
    "tencent_clb": TencentClb,
    "webhook": Webhook,
}
#: Outsiders register kinds in the entry-point group ``watchkeeper.remediation``.
REGISTRY = Registry("remediation", BUILTIN)


def kind_of(name: str) -> Kind:
    """The kind by its name. Raises ConfigError naming the known ones."""
    kind: Kind = REGISTRY.get(name)()
    return kind


__all__ = ["BUILTIN", "REGISTRY", "Kind", "kind_of"]
