"""What the demo writes for its own engine: watchkeeper.yaml, rules, and the files of HAProxy and supervisord."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from watchkeeper.app.demo import contingency, managers, switches
from watchkeeper.app.demo.catalogue import catalogue
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.robot import DINGTALK, SECRET, TOKEN, WECOM

TEMPLATES = Path(__file__).parent / "templates"
HEADER = """\
# Written by `watchkeeper demo` at every start; a real watchkeeper.yaml looks the same. Change it here and see what
# `watchkeeper check-config --config` says of it; the next start writes it anew.
"""
#: Who pays, in the lines of the payment service; a refused charge is a refusal.
PAYERS = {
    "name": "payers",
    "pattern": r"(?:charged \d+ cents to|charge (?P<outcome>refused) for) (?P<user>tok-\d+)",
    "fields": {"user": ["user"], "outcome": ["outcome"]},
    "refused": "refused",
}
#: Slots of the queue's workers, and how many of them run on a calm day.
SLOTS, CALM = 8, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Programs that are not ours; empty where there is none."""

    haproxy: str
    supervisord: str


def write(place: Place, ports: Mapping[str, int], servers: Servers, language: str, shop: str = "") -> None:
    """Every file that the demo's processes read. ``shop``: address of its PostgreSQL, else it lies in SQLite."""
    text = yaml.safe_dump(build(place, ports, servers, language, shop), allow_unicode=True, sort_keys=False)
    place.config.write_text(HEADER + text, encoding="utf-8")
    switches.write(place)
    contingency.write(place)
    names = ["requirements", "alerts", "plans"]
    if servers.haproxy:
        names.append("dual_link")
        known = {name: ports[name] for name in ("front", "figures", "primary", "backup")}
        _fill(place.root / "haproxy.cfg", "haproxy.cfg", socket=str(place.haproxy_socket), **known)
    if servers.supervisord:
        names.append("scaling")
        _supervisord(place)
    for name in names:
        (place.rules / f"{name}.yaml").write_bytes((TEMPLATES / f"{name}.yaml").read_bytes())


def _fill(file: Path, template: str, **values: object) -> None:
    file.write_text((TEMPLATES / template).read_text(encoding="utf-8").format(**values), encoding="utf-8")


def _supervisord(place: Place) -> None:
    """Slots as programs of one group: supervisord cannot start a part of ``numprocs``."""
    command = shlex.join([sys.executable, "-m", "watchkeeper.app.demo.worker", str(place.root)]).replace("%", "%%")
    programs = [
        f"[program:worker_{number}]\ncommand={command}\nautostart={str(number < CALM).lower()}\nautorestart=true\n"
        "startsecs=0\nstopwaitsecs=5\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
        for number in range(SLOTS)
    ]
    _fill(
        place.root / "supervisord.conf",
        "supervisord.conf",
        logs=str(place.logs),
        run=str(place.root / "run"),
        socket=str(place.supervisord_socket),
        workers="".join(programs),
        names=",".join(f"worker_{number}" for number in range(SLOTS)),
    )


def build(place: Place, ports: Mapping[str, int], servers: Servers, language: str, shop: str = "") -> dict[str, Any]:
    """The configuration as plain data."""
    shop = shop or f"sqlite:///{place.shop}"
    return {
        "data": str(place.data.root),
        "language": language,
        "environment": "DEMO",
        "discover": False,
        "engine": {"listen": f"127.0.0.1:{ports['engine']}"},
        "dashboard": {"listen": f"127.0.0.1:{ports['dashboard']}", "refresh": "2s"},
        "collect": {"own_logs": False, "host_interval": "5s", "sources": _sources(place, ports, servers, shop)},
        "logs": {"templates": {"enabled": True}},
        "security": {"entities": {"enabled": True, "acts": [PAYERS]}},
        "forecasting": {"every": "5m", "step": "15s"},
        "capacity": {"every": "5m", "pools": [_pool()]},
        "rules": {"packs": ["signals", "business", "self"], "directories": ["rules"]},
        **managers.sections(place, shop, language),
        "catalogue": {"services": catalogue(ports, language), "every": "15s"},
        "severities": {"critical": "P1", "warning": "P2"},
        "incidents": {"reopen_within": "30s"},  # a fault broken again is an incident of its own
        "notify": {"channels": _channels(ports)},
        "remediation": _remediation(place, servers),
        "plans": contingency.section(),
    }


def _sources(place: Place, ports: Mapping[str, int], servers: Servers, shop: str) -> list[dict[str, Any]]:
    dialect = SQLITE if shop.startswith("sqlite") else POSTGRES
    found = [
        _probe("probe-primary", ports["primary"], "checkout", copy="primary"),
        _probe("probe-backup", ports["backup"], "checkout", copy="backup"),
        _page("checkout-primary", ports["primary"], "checkout", interval="2s"),
        _page("checkout-backup", ports["backup"], "checkout", interval="2s"),
        _page("payment", ports["payment"], "payment"),
        _page("storage", ports["storage"], "storage"),
        _probe("probe-carrier", ports["payment"], "carrier", path="/carrier", provider="carrier"),
        _probe("probe-gateway", ports["payment"], "payment", path="/gateway", provider="gateway"),
        _page("buyers", ports["traffic"], "traffic", interval="5s"),
        _probe("chat", ports["robot"], "chat", interval="5s"),
        {
            "kind": "sql_query",
            "name": "shop",
            "interval": "1s",
            "service": "shop",
            "url": shop,
            "queries": [
                {"name": "shop_jobs", "sql": JOBS, "values": ["value"], "labels": ["status"]},
                {"name": "shop_workers", "sql": WORKERS.format(**dialect), "values": ["value"]},
            ],
        },
        {
            "kind": "sql_query",
            "name": "orders",
            "interval": "15s",
            "service": "shop",
            "url": shop,
            "queries": [
                {
                    "name": "shop_orders_today",
                    "sql": ORDERS.format(**dialect),
                    "values": ["value", "cents"],
                    "labels": ["state"],
                }
            ],
        },
        *(_lines(place, service, files) for service, files in LOGS.items()),
    ]
    if servers.haproxy:
        found.insert(2, _probe("probe-front", ports["front"], "checkout", copy="front"))
        found.append(_page("proxy", ports["figures"], "checkout"))
    return found


#: Service -> its log files.
LOGS = {"checkout": "checkout-*.log", "payment": "payment.log", "storage": "storage.*log", "gateway": "gateway.log"}


def _lines(place: Place, service: str, files: str) -> dict[str, Any]:
    source = {"kind": "log_file", "name": f"{service}-logs", "interval": "2s", "service": service}
    return {**source, "paths": [f"{place.logs}/{files}"], "from_beginning": True}


#: The seconds of now and the beginning of today, as each database says it.
SQLITE = {"seconds": "strftime('%s', 'now')", "today": "date('now')"}
POSTGRES = {"seconds": "extract(epoch FROM now())", "today": "date_trunc('day', now())"}
#: Every state is a row, also without jobs: 0 is a value, absence is not.
JOBS = (
    "SELECT s.status AS status, (SELECT count(*) FROM jobs j WHERE j.status = s.status) AS value"
    " FROM (SELECT 'queued' AS status UNION SELECT 'processing' UNION SELECT 'failed') s"
)
WORKERS = "SELECT count(*) AS value FROM workers WHERE seen > {seconds} - 5"
ORDERS = (
    "SELECT status AS state, count(*) AS value, sum(amount_cents) AS cents FROM orders"
    " WHERE created_at >= {today} GROUP BY status"
)


def _probe(
    name: str, port: int, service: str, interval: str = "1s", path: str = "/health", **labels: str
) -> dict[str, Any]:
    return {
        "kind": "http_probe",
        "name": name,
        "interval": interval,
        "service": service,
        "labels": labels,
        "timeout": 3.0,  # what is dead refuses at once; a busy machine is only slow
        "steps": [{"name": "health", "url": f"http://127.0.0.1:{port}{path}"}],
    }


def _page(name: str, port: int, service: str, interval: str = "1s") -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/metrics"
    return {"kind": "openmetrics", "name": name, "interval": interval, "service": service, "url": url}


def _pool() -> dict[str, Any]:
    return {
        "name": "receipts",
        "resource": "disk",
        "unit": "bytes",
        "query": "storage_volume_used_bytes",
        "limit_query": "storage_volume_size_bytes",
        "lead_time": "1d",
    }


def _channels(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    base = f"http://127.0.0.1:{ports['robot']}"
    common = {"base_url": base, "allow_hosts": ["127.0.0.1"]}
    return [
        {
            "name": "dingtalk",
            "kind": "dingtalk",
            "url": f"{base}{DINGTALK}?access_token={TOKEN}",
            "secret": SECRET,
            "language": "zh-CN",
            **common,
        },
        {"name": "wecom", "kind": "wecom", "url": f"{base}{WECOM}?key={TOKEN}", "language": "en", **common},
    ]


def _remediation(place: Place, servers: Servers) -> dict[str, Any]:
    """Short holds and wide budgets: what takes ten minutes in earnest can be watched here, and repeated."""
    targets: list[dict[str, Any]] = switches.targets(place)
    if servers.haproxy:
        haproxy = {"kind": "haproxy", "socket": str(place.haproxy_socket)}
        there = {"ready": ["backup"], "drain": ["primary"]}
        targets += [
            {"name": "web", "backend": "shop", "test_target": "web-trial", **haproxy},
            {"name": "web-trial", "backend": "rehearsal", "test_parameters": there, **haproxy},
        ]
    if servers.supervisord:
        slots = {"kind": "supervisord", "server": str(place.supervisord_socket)}
        targets += [
            {"name": "workers", "group": "workers", "floor": CALM, "ceiling": SLOTS, "test_target": "trial", **slots},
            {"name": "trial", "group": "rehearsal", "test_parameters": {"count": 3}, **slots},
        ]
    return {
        "observe_after_gap": "5s",
        "verify_within": "60s",
        "cooldown": "5s",
        "foreign_hold": "30s",
        "scale_in_after": "30s",
        "retry_after": "15s",
        "flap_changes": 40,
        "budgets": {"failovers": 10, "actions": 60, "per_day": 1000},
        "targets": targets,
        "links": [_link()] if servers.haproxy else [],
    }


def _link() -> dict[str, Any]:
    return {
        "name": "checkout",
        "service": "checkout",
        "target": "web",
        "primary": "primary",
        "backup": "backup",
        "primary_probe": 'probe_success{copy="primary"}',
        "backup_probe": 'probe_success{copy="backup"}',
        "hold": "20s",
        "dwell": "30s",
        "cooldown": "10s",
        "budget": 10,
        "return_good": 5,
        "primary_cost": 12.0,  # yuan an hour: 600 purchases at 0.02 and at 0.09
        "backup_cost": 54.0,
    }
