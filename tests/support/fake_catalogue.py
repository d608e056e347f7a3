"""Services as the engine answers them: one watched and failing, one that lacks everything and stands alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

BOTH = {"en": "Python API", "zh-CN": "Python 接口服务"}


def _row(**changes: Any) -> dict[str, Any]:
    return {
        "name": "checkout", "title": "Checkout <b>API</b>", "kind": "python_api", "kind_title": BOTH, "tier": "core",
        "owner": "lin", "environment": "PROD", "region": "cn-east", "pool": "", "origin": "file", "replicas": 2,
        "state": "failing", "collectors": 3, "failing": 1, "depends_on": ["orders-db"], "incidents": ["inc-2"],
        "coverage": {"golden": True, "logs": True, "rule": True, "owner": True}, "dependents": [],
        "single_point": False, "layer": 0, "place": "", "gone_at": None, "available": None, **changes,
    }  # fmt: skip


def services(now: datetime) -> dict[str, Any]:
    """GET /api/wk/services."""
    lonely = _row(
        name="orders-db", title="orders-db", kind="", kind_title={"en": "", "zh-CN": ""}, owner="", state="unknown",
        depends_on=[], incidents=[], coverage=dict.fromkeys(("golden", "logs", "rule", "owner"), False), replicas=1,
        single_point=True, dependents=["checkout"], layer=1,
    )  # fmt: skip
    return {
        "now": now.isoformat(), "looked_at": now.isoformat(), "services": [_row(), lonely],
        "left_out": ["assets.csv:7: column '类型': 'Oracle 11g' is no service kind"], "left_out_in_all": 1,
        "edges": [{"source": "checkout", "target": "orders-db", "origin": "observed"}],
        "coverage": {
            "ratio": 0.5, "target": 0.9, "parts": {"golden": 0.5, "logs": 0.5, "rule": 0.5, "owner": None},
        },
    }  # fmt: skip


def service(now: datetime, name: str) -> dict[str, Any]:
    """GET /api/wk/services/{name}."""
    return _row(name=name) | {
        "looked_at": now.isoformat(), "addresses": ["10.0.0.5:8000"], "limits": {"memory": 2.0**30, "cpu": 1.0},
        "requests": {}, "links": {"wiki": "https://wiki.example.com", "bad": "javascript:alert(1)"},
        "contacts": ["lin@example.com"], "rules": ["HighErrorRate"], "objectives": ["checkout.success"],
        "signals": [
            {"signal": "latency", "query": 'api_response_times{service="checkout"}', "value": 0.25},
            {"signal": "errors", "query": "error_rates", "value": None},
        ],
        "panels": [{"title": {"en": "Requests", "zh-CN": "请求数"}, "query": "sum(rate(x[5m]))", "unit": "count",
                    "family": "application"}],
        "rules_of": {"application": ["HighErrorRate"]},
        "metrics": [
            {"name": "http_requests_total", "type": "counter", "unit": "count", "good": "none", "family": "application",
             "help": {"en": "Requests answered", "zh-CN": "已应答的请求数"}},
            {"name": "kube_horizontalpodautoscaler_status_target_metric_utilization", "type": "gauge",
             "unit": "percent", "good": "none", "family": "infrastructure",
             "help": {"en": "How much of what it may is used by what decides how many there are, as it was last told",
                      "zh-CN": "决定副本数的指标最近一次上报的使用率"}},
        ],
        "sources": [{"name": "checkout:a", "kind": "openmetrics", "state": "failing", "error": "refused", "series": 9}],
    }  # fmt: skip
