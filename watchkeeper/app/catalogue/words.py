"""Service kinds by the words that people and asset lists have for them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: How people also call a kind.
ALSO = {
    "postgres": "postgresql", "pgsql": "postgresql", "pg": "postgresql", "mongo": "mongodb", "k8s": "kubernetes",
    "opensearch": "elasticsearch", "es": "elasticsearch", "rabbit": "rabbitmq", "minio": "object_store",
    "linux": "linux_host", "linux_server": "linux_host", "windows": "windows_host", "windows_server": "windows_host",
    "docker": "containers", "cadvisor": "containers", "java": "jvm", "spring_boot": "jvm", "springboot": "jvm",
    "nodejs": "node_service", "node.js": "node_service", "golang": "go_service", "go": "go_service",
    "python": "python_api", "fastapi": "python_api", "flask": "python_api", "django": "python_api",
    "openresty": "nginx", "tengine": "nginx", "redis_sentinels": "redis_sentinel", "switch": "network_device",
    "router": "network_device", "firewall": "network_device", "linux主机": "linux_host", "linux服务器": "linux_host",
    "windows服务器": "windows_host", "交换机": "network_device", "路由器": "network_device", "防火墙": "network_device",
}  # fmt: skip
#: What the shipped tiers are called in Chinese.
TIERS = {"核心": "core", "核心服务": "core", "智能体": "agent", "支撑": "support", "支撑服务": "support"}
#: A version behind a product's name, as asset lists write it: ``MySQL 8.0``, ``redis-7.2.4``, ``nginx v1.24``.
VERSION = re.compile(r"[_v]*\d+(\.[\dx]+)*$")


def kind(text: str, known: Iterable[str]) -> str:
    """The kind that is meant: ``Python API``, ``postgres``, ``MySQL 8.0``. The text itself where nobody can tell."""
    names = set(known)
    if text in names:
        return text
    word = re.sub(r"[\s/-]+", "_", unicodedata.normalize("NFKC", text).strip().casefold())
    for one in (word, VERSION.sub("", word)):
        found = one if one in names else ALSO.get(one, "")
        if found in names:
            return found
    return text
