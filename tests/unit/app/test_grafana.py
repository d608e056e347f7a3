"""What Grafana's Prometheus data source asks, as its source sends it, and what it reads from the answers.

Written down from grafana/grafana: pkg/promlib (client, healthcheck, heuristics, converter), packages/grafana-prometheus
(datasource, language_provider, resource_clients, metric_find_query) and the alerting pages' rule client. By POST what
can be posted, the default; by GET with ``httpMethod: GET``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from support.engines import engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.pipeline.judge import group_key
from watchkeeper.clock import to_ms
from watchkeeper.model import Layout, Tick, labels

RULES = """
groups:
  - name: g
    rules:
      - {record: "job:up:sum", expr: sum by (job) (up)}
      - {alert: Down, expr: up < 2, labels: {severity: warning}, annotations: {summary: down}}
"""
END = "1772424000"
SPAN = {"start": "1772420400", "end": END}
LIMITED = {**SPAN, "limit": "40000"}

Reader = Callable[[Any], bool]
Call = tuple[str, str, dict[str, Any], Reader]


def frames(data: Any) -> bool:
    """As the converter reads a result: type by type, times as numbers, values as text."""
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        return pair(result)
    return all(set(row) == {"metric", "value" if kind == "vector" else "values"} and points(row) for row in result)


def points(row: Any) -> bool:
    return all(map(pair, row.get("values", [row.get("value")] if "value" in row else [])))


def pair(found: Any) -> bool:
    return isinstance(found[0], int | float) and isinstance(found[1], str)


def words(data: Any) -> bool:
    return isinstance(data, list) and all(isinstance(one, str) for one in data)


def groups(data: Any) -> bool:
    """The fields that the alerting pages read without asking whether they are there."""
    rules = [rule for group in data["groups"] for rule in group["rules"]]
    need = {"name", "query", "health", "type"}
    return bool(rules) and all(
        need <= set(rule) and (rule["type"] == "recording" or {"state", "alerts", "labels", "duration"} <= set(rule))
        for rule in rules
    )


CALLS: tuple[Call, ...] = (
    # "Save & test": a question in 1970, then what kind of server this is
    ("POST", "query", {"query": "1+1", "time": "4"}, lambda data: data["result"] == [4, "2"]),
    ("GET", "status/buildinfo", {}, lambda data: not data.get("features") and data["version"].startswith("3.")),
    # panels
    ("POST", "query_range", {"query": "up", **SPAN, "step": "15"}, frames),
    ("POST", "query_range", {"query": "rate(up[1m0s])", **SPAN, "step": "15", "timeout": "60s"}, frames),
    ("POST", "query_range", {"query": "up", "start": "1772420400.123", "end": "1772424000.456", "step": "0.5"}, frames),
    ("POST", "query", {"query": "up", "time": "1772424000.456"}, frames),
    ("POST", "query", {"query": "scalar(up)", "time": END}, frames),
    ("POST", "query", {"query": "up[5m]", "time": END}, frames),
    ("POST", "query_exemplars", {"query": "up", **SPAN}, lambda data: data == []),
    # the metrics browser, completion and the query builder
    ("POST", "labels", LIMITED, words),
    ("POST", "labels", {**LIMITED, "match[]": '{__name__="up",job="a"}'}, words),
    ("GET", "label/__name__/values", LIMITED, lambda data: "up" in data),
    ("GET", "label/__name__/values", {**SPAN, "match[]": '{__name__=~".*u.*"}', "limit": "1"}, words),
    ("GET", "label/job/values", {**LIMITED, "match[]": '{__name__="up"}'}, lambda data: data == ["a", "b"]),
    ("GET", "label/U__http_2e_method/values", LIMITED, words),
    ("POST", "series", {**LIMITED, "match[]": "up"}, lambda data: all("__name__" in row for row in data)),
    ("GET", "metadata", {"limit": "40000"}, lambda data: isinstance(data, dict)),
    ("GET", "metadata", {"limit_per_metric": "1"}, lambda data: isinstance(data, dict)),
    # variables: label_names(), label_values(), metrics(), query_result()
    ("GET", "labels", SPAN, words),
    ("GET", "label/job/values", SPAN, lambda data: data == ["a", "b"]),
    ("GET", "series", {**SPAN, "match[]": 'up{job=~"a|b"}'}, lambda data: len(data) == 2),
    ("GET", "query", {"query": "topk(1, up)", "time": END}, frames),
    # annotations
    ("POST", "query_range", {"query": 'ALERTS{alertstate="firing"}', **SPAN, "step": "60"}, frames),
    # alerting pages over a data source's rules
    ("GET", "rules", {}, groups),
    ("GET", "rules", {"limit_alerts": "16"}, groups),
    ("GET", "rules", {"group_limit": "40", "exclude_alerts": "true"}, groups),
    ("GET", "rules", {"type": "alert"}, groups),
    ("GET", "rules", {"file[]": "FILE", "rule_group[]": "g", "rule_name[]": "Down"}, groups),
    ("GET", "alerts", {}, lambda data: {"labels", "state", "activeAt", "value"} <= set(data["alerts"][0])),
    ("GET", "alertmanagers", {}, lambda data: data["activeAlertmanagers"] == []),
    # what a page may fetch through the data source's proxy
    ("GET", "targets", {"state": "active"}, lambda data: isinstance(data["activeTargets"], list)),
    ("GET", "targets/metadata", {"limit": "10"}, lambda data: isinstance(data, list)),
    ("GET", "status/config", {}, lambda data: "scrape_configs" in data["yaml"]),
    ("GET", "status/flags", {}, lambda data: all(isinstance(value, str) for value in data.values())),
    ("GET", "status/runtimeinfo", {}, lambda data: data["storageRetention"] == "15d"),
    ("GET", "status/tsdb", {"limit": "3"}, lambda data: data["headStats"]["numSeries"] >= 2),
    ("GET", "status/walreplay", {}, lambda data: data["current"] == data["max"]),
    ("GET", "notifications", {}, lambda data: data == []),
    ("GET", "format_query", {"query": "sum by(a)(up)"}, lambda data: data == "sum by (a) (up)"),
    ("POST", "parse_query", {"query": "sum by(a)(up)"}, lambda data: data["type"] == "aggregation"),
)  # fmt: skip


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client with the header that the data source is given, and an engine with samples and an alert."""
    folder = Path(tmp_path_factory.mktemp("grafana"))
    (folder / "rules").mkdir()
    (folder / "rules" / "r.yaml").write_text(RULES)
    with engine(folder) as house:
        now = to_ms(house.clock.now())
        layout = Layout((labels("up", job="a"), labels("up", job="b")))
        for at in range(now - 600_000, now + 1, 15_000):
            house.samples.append(Tick(target="t", time_ms=at, layout=layout, values=np.array([1.0, 0.0])))
        house.judging.start(house.clock.now())
        asyncio.run(house.judging.step(group_key(house.judging.book.groups[0]), house.clock.now()))
        token, _ = create_system_token(house.state, "grafana", Role.VIEWER, now=house.clock.now())
        with TestClient(create(house), headers={"Authorization": f"Bearer {token}"}) as client:
            yield client


def file_of(grafana: TestClient) -> str:
    return str(grafana.get("/api/v1/rules").json()["data"]["groups"][0]["file"])


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
def test_every_call_is_answered_in_prometheuss_shape(grafana: TestClient, call: Call) -> None:
    method, path, asked, reads = call
    asked = {key: file_of(grafana) if value == "FILE" else value for key, value in asked.items()}
    keywords: dict[str, Any] = {"params" if method == "GET" else "data": asked}
    answer = grafana.request(method, f"/api/v1/{path}", **keywords)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "success"), body
    assert answer.headers["content-type"] == "application/json"
    assert reads(body["data"]), body
    assert body.keys() <= {"status", "data", "warnings", "infos"}


def test_what_is_wrong_with_a_query_is_told_as_the_converter_reads_it(grafana: TestClient) -> None:
    answer = grafana.post("/api/v1/query_range", data={"query": "sum(", **SPAN, "step": "15"})
    assert answer.status_code == 400
    assert answer.json().keys() == {"status", "errorType", "error"}
    assert answer.json()["errorType"] == "bad_data"


def test_without_the_token_the_data_source_is_told_so(grafana: TestClient) -> None:
    answer = grafana.get("/api/v1/query", params={"query": "1"}, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    assert "token" in answer.json()["error"]


# --- what is newer than the Prometheus the other tests compare with ---------------------------------------------------


def test_a_limit_cuts_and_says_so(grafana: TestClient) -> None:
    for path, asked in (
        ("query", {"query": "up", "time": END}),
        ("query_range", {"query": "up", **SPAN, "step": "60"}),
        ("series", {"match[]": "up", **SPAN}),
        ("labels", SPAN),
        ("label/job/values", SPAN),
    ):
        body = grafana.get(f"/api/v1/{path}", params={**asked, "limit": 1}).json()
        rows = body["data"]["result"] if isinstance(body["data"], dict) else body["data"]
        assert (len(rows), body["warnings"]) == (1, ["results truncated due to limit"]), path
        assert "warnings" not in grafana.get(f"/api/v1/{path}", params={**asked, "limit": 10}).json(), path
        assert grafana.get(f"/api/v1/{path}", params={**asked, "limit": -1}).status_code == 400


def test_a_lookback_and_a_timeout_are_the_askers(grafana: TestClient) -> None:
    asked = {"query": "up", "time": str(int(END) + 200)}
    assert len(grafana.get("/api/v1/query", params=asked).json()["data"]["result"]) == 2
    short = grafana.get("/api/v1/query", params={**asked, "lookback_delta": "1m"}).json()
    assert short["data"]["result"] == []
    late = grafana.get("/api/v1/query", params={**asked, "timeout": "0"})
    assert (late.status_code, late.json()["errorType"]) == (503, "timeout")
    assert grafana.get("/api/v1/query", params={**asked, "lookback_delta": "-1"}).status_code == 400


def test_statistics_say_what_was_read(grafana: TestClient) -> None:
    stats = grafana.get("/api/v1/query", params={"query": "up", "time": END, "stats": "all"}).json()["data"]["stats"]
    assert stats["samples"]["totalQueryableSamples"] > 0
    timings = stats["timings"]
    assert timings["execTotalTime"] >= timings["evalTotalTime"] > 0
    assert "stats" not in grafana.get("/api/v1/query", params={"query": "up"}).json()["data"]


def test_rules_are_chosen_by_name_group_file_labels_and_page(grafana: TestClient) -> None:
    def names(**asked: Any) -> list[str]:
        found = grafana.get("/api/v1/rules", params={key.replace("__", "[]"): value for key, value in asked.items()})
        return [rule["name"] for group in found.json()["data"]["groups"] for rule in group["rules"]]

    assert names() == ["job:up:sum", "Down"]
    assert names(rule_name__="Down") == ["Down"]
    assert names(rule_group__="none") == names(file__="none") == names(rule_name__="none") == []
    assert names(match__='{severity="warning"}') == ["Down"]
    assert names(match__='{severity=~"w.*"}', type="record") == []
    (group,) = grafana.get("/api/v1/rules", params={"exclude_alerts": "true"}).json()["data"]["groups"]
    assert [len(rule.get("alerts", ())) for rule in group["rules"]] == [0, 0]
    assert grafana.get("/api/v1/rules", params={"group_next_token": "x"}).status_code == 400
    assert grafana.get("/api/v1/rules", params={"group_limit": 1, "group_next_token": "x"}).status_code == 400


def test_a_tree_is_drawn_as_prometheus_draws_it(grafana: TestClient) -> None:
    expr = 'topk by (g) (2, rate(m{a!="x"}[5m] offset 1m)) / on (g) group_left (h) (n @ end()) > bool -1'
    tree = grafana.get("/api/v1/parse_query", params={"query": expr}).json()["data"]
    assert (tree["type"], tree["op"], tree["bool"], tree["matching"]) == ("binaryExpr", ">", True, None)
    assert tree["rhs"]["type"] in ("unaryExpr", "numberLiteral")
    division = tree["lhs"]
    assert division["matching"] == {
        "card": "many-to-one", "labels": ["g"], "on": True, "include": ["h"], "fillValues": {"lhs": None, "rhs": None},
    }  # fmt: skip
    top = division["lhs"]
    assert (top["type"], top["op"], top["grouping"], top["without"]) == ("aggregation", "topk", ["g"], False)
    assert top["param"] == {"type": "numberLiteral", "val": "2"}
    call = top["expr"]
    assert call["func"] == {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"}
    (selector,) = call["args"]
    assert (selector["type"], selector["range"], selector["offset"]) == ("matrixSelector", 300_000, 60_000)
    assert {"name": "a", "value": "x", "type": "!="} in selector["matchers"]
    assert division["rhs"]["expr"]["startOrEnd"] == "end"


@pytest.mark.parametrize("name", ["a-b", "U__", "", "U___110000_", "U___d800_"])
def test_a_label_nothing_can_be_called_is_refused(grafana: TestClient, name: str) -> None:
    answer = grafana.get(f"/api/v1/label/{name}/values")
    assert answer.status_code in (400, 404)
    if name:
        assert answer.json()["errorType"] == "bad_data"
