"""The shop's services as a catalogue: whose is what, what it needs, and who calls whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: name, title by language, tier, owner, services it calls.
SERVICES: Sequence[tuple[str, Mapping[str, str], str, str, tuple[str, ...]]] = (
    ("traffic", {"en": "Buyers", "zh-CN": "买家"}, "support", "growth", ("checkout",)),
    ("checkout", {"en": "Checkout", "zh-CN": "结算服务"}, "core", "payments", ("payment", "shop")),
    ("payment", {"en": "Payment", "zh-CN": "支付服务"}, "core", "payments", ("shop",)),
    ("shop", {"en": "Shop database", "zh-CN": "商城数据库"}, "core", "dba", ("storage",)),
    ("storage", {"en": "Storage", "zh-CN": "存储"}, "support", "platform", ()),
    ("chat", {"en": "Chat robots", "zh-CN": "群机器人"}, "support", "platform", ()),
)
#: Service -> keys of its ports; what has none is no server of its own.
PORTS: Mapping[str, tuple[str, ...]] = {
    "traffic": ("traffic",), "checkout": ("primary", "backup"), "payment": ("payment",), "storage": ("storage",),
    "chat": ("robot",),
}  # fmt: skip


def catalogue(ports: Mapping[str, int], language: str) -> list[dict[str, Any]]:
    """Entries of ``catalogue.services``; ``language``: en or zh-CN."""
    return [
        {
            "name": name,
            "title": title[language],
            "tier": tier,
            "owner": owner,
            "region": "loopback",
            "addresses": [f"127.0.0.1:{ports[port]}" for port in PORTS.get(name, ())],
            "depends_on": list(calls),
            "replicas": max(len(PORTS.get(name, ())), 1),
            "limits": {"memory": "512Mi", "cpu": "1000m"},
        }
        for name, title, tier, owner, calls in SERVICES
    ]
