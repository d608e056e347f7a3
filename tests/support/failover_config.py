"""What a user writes for a dual link: HAProxy's file, the rules, and watchkeeper.yaml."""

from __future__ import annotations

from typing import Any

from support.robots import SECRET, TOKEN

HAPROXY = """
global
    stats socket {{socket}} mode 600 level admin
    stats socket ipv4@127.0.0.1:{control} level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 2s
    timeout server 2s
    retries 0
frontend in
    bind 127.0.0.1:{{port}}
    default_backend shop
frontend figures
    bind 127.0.0.1:{figures}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny
backend shop
    server primary 127.0.0.1:{primary}
    server backup 127.0.0.1:{backup} disabled
backend rehearsal
    server primary 127.0.0.1:{primary}
    server backup 127.0.0.1:{backup} disabled
"""
RULES = """
groups:
  - name: checkout
    interval: 1s
    rules:
      - alert: CheckoutPrimaryDown
        expr: probe_success{copy="primary"} == 0
        labels: {severity: P1, service: checkout}
        annotations: {summary: the primary of checkout is down}
      - alert: CheckoutDown
        expr: max(probe_success{copy=~"primary|backup"}) == 0
        labels: {severity: P0, service: checkout}
        annotations: {summary: both copies of checkout are down}
remediations:
  - name: checkout_failover
    when: probe_success{copy="primary"} == 0
    observers:
      passive: rate(haproxy_server_connection_errors_total{proxy="shop",server="primary"}[10s]) > 0
    confirm: 3 of 4
    interval: 1s
    action: haproxy
    target: web
    link: checkout
    mode: MODE
    owner: ada
    service: checkout
    verify: probe_success{copy="front"} == 0
    labels: {service: checkout}
"""
#: The link's own options: short ones, so that a whole way there and back fits into a minute.
LINK: dict[str, Any] = {
    "hold": "4s",
    "dwell": "12s",
    "cooldown": "5s",
    "budget": 10,
    "return_good": 5,
}


def rules(mode: str) -> str:
    return RULES.replace("MODE", mode)


def probe(name: str, port: int, service: str, **labels: str) -> dict[str, Any]:
    return {
        "kind": "http_probe",
        "name": name,
        "interval": "1s",
        "timeout": 0.8,
        "service": service,
        "labels": labels,
        "steps": [{"name": "open", "url": f"http://127.0.0.1:{port}/"}],
    }


def sections(robots: str, ports: dict[str, int], remediation: dict[str, Any]) -> dict[str, Any]:
    """``ports`` are those that the watcher uses; ``remediation`` says what differs from the defaults."""
    channel = {"base_url": robots, "allow_hosts": ["127.0.0.1"]}
    haproxy = {"kind": "haproxy", "socket": f"127.0.0.1:{ports['control']}"}
    figures = f"http://127.0.0.1:{ports['figures']}/metrics"
    return {
        "collect": {
            "host": False,
            "own_logs": False,
            "sources": [
                probe("primary", ports["primary"], "checkout", copy="primary"),
                probe("backup", ports["backup"], "checkout", copy="backup"),
                probe("front", ports["front"], "checkout", copy="front"),
                probe("north", ports["north"], "north"),
                probe("south", ports["south"], "south"),
                {"kind": "openmetrics", "name": "proxy", "interval": "1s", "url": figures, "service": "checkout"},
            ],
        },
        "rules": {"packs": [], "directories": ["rules"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
        "notify": {
            "channels": [
                {
                    "name": "ding",
                    "kind": "dingtalk",
                    "url": f"{robots}/robot/send?access_token={TOKEN}",
                    "secret": SECRET,
                    "language": "zh-CN",
                    **channel,
                },
                {
                    "name": "wecom",
                    "kind": "wecom",
                    "url": f"{robots}/cgi-bin/webhook/send?key={TOKEN}",
                    "language": "en",
                    **channel,
                },
            ]
        },
        "remediation": {
            "canaries": ["north", "south"],
            "targets": [
                {"name": "web", "backend": "shop", "test_target": "trial", **haproxy},
                {
                    "name": "trial",
                    "backend": "rehearsal",
                    "test_parameters": {"ready": ["backup"], "drain": ["primary"]},
                    **haproxy,
                },
            ],
            "links": [
                {
                    "name": "checkout",
                    "service": "checkout",
                    "target": "web",
                    "primary": "primary",
                    "backup": "backup",
                    "primary_probe": 'probe_success{copy="primary"}',
                    "backup_probe": 'probe_success{copy="backup"}',
                    **LINK,
                }
            ],
            **remediation,
        },
    }
