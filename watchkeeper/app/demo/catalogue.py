"""The shop's services as a catalogue: whose is what, what it needs, and who calls whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: name, title, tier, owner, services it calls.
SERVICES = (
    ("traffic", "Buyers", "support", "growth", ("checkout",)),
    ("checkout", "Checkout", "core", "payments", ("payment", "shop")),
    ("payment", "Payment", "core", "payments", ("shop",)),
    ("shop", "Shop database", "core", "dba", ("storage",)),
    ("storage", "Storage", "support", "platform", ()),
    ("chat", "Chat robots", "support", "platform", ()),
)
#: Service -> keys of its ports; what has none is no server of its own.
PORTS: Mapping[str, tuple[str, ...]] = {
    "traffic": ("traffic",), "checkout": ("primary", "backup"), "payment": ("payment",), "storage": ("storage",),
    "chat": ("robot",),
}  # fmt: skip


def catalogue(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """Entries of ``catalogue.services``."""
    return [
        {
            "name": name,
            "title": title,
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
