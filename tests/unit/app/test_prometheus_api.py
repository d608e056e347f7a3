"""The same calls to a real Prometheus and to us, over the same samples: the same answers, field by field.

What differs on purpose: parse errors are told in other words (another parser), with the same errorType and status.
Windows of 2.42 are closed on the left: no sample and no step lies on such an edge here. It has no ``limit``, no pages
of rules and no parse_query: test_grafana.py has those.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from support.engines import NOON, engine
from support.servers import Running, filled_prometheus

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.pipeline.judge import group_key
from watchkeeper.model import Labels, Layout, Tick, labels

pytestmark = pytest.mark.servers

END = int(NOON.timestamp())
START = END - 900
AT, RFC = {"time": str(END)}, {"time": "2026-03-02T04:00:00Z"}
SPAN = {"start": str(START), "end": str(END)}
#: One series a value: numbers of every shape that JSON has to carry.
NUMBERS = (
    0.0, -0.0, 1.0, -2.5, 0.1, 1 / 3, 1e-5, 1.5e-6, 1e-7, 123456789.125, 1e15, 1e16, 12345678901234567.0, 1e20, 1e21,
    1.7976931348623157e308, 5e-324, math.nan, math.inf, -math.inf,
)  # fmt: skip
RULES = """
groups:
  - name: g
    interval: 1s
    rules:
      - {record: warm, expr: vector(2), labels: {a: b}}
      - {alert: Hot, expr: vector(15) > 1, labels: {severity: critical}, annotations: {summary: "is {{ $value }}"}}
      - {alert: Later, expr: vector(0.5), for: 1h}
      - {alert: Never, expr: vector(1) < 0, keep_firing_for: 5m}
"""

FORMATTED = (
    "1", "a+b", "-(a)", "a{c='d',b=\"e\"} offset 1m @ end()", "sum without(x)(a) / on(y) group_left(z) b", "topk(3, a)",
    "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_bucket{job='long',handler='longer'}[5m]))) > 0.5",
    "max_over_time(a[1h:5m])", "a and b or c unless d", "'x'",
)  # fmt: skip

Call = tuple[str, str, Mapping[str, str | Sequence[str]]]


def samples() -> dict[Labels, list[tuple[float, float]]]:
    grid = range(START - 600, END + 1, 15)
    found = {labels("number", i=f"{i:02}"): [(float(at), value) for at in grid] for i, value in enumerate(NUMBERS)}
    for i in range(4):
        name = labels("requests_total", job="shop", instance=f"i{i}", path='/a"b\\c中')
        found[name] = [(at + 0.25 * i, float(n * (i + 1))) for n, at in enumerate(grid) if (n + i) % 7]
    return found


def calls() -> Iterator[Call]:
    for method in ("GET", "POST"):
        yield method, "query", {"query": "number", **AT}
        yield method, "query_range", {"query": "rate(requests_total[137s])", **SPAN, "step": "60"}
        yield method, "series", {"match[]": ["number", 'requests_total{instance=~"i[12]"}'], **SPAN}
        yield method, "labels", SPAN
        yield method, "labels", {"match[]": "requests_total", **SPAN}
        yield method, "query_exemplars", {"query": "number", **SPAN}
        yield method, "format_query", {"query": "sum by(a)(rate(x{b='c'}[5m]))"}
    for expr in (
        "1", "-0.5e-9", "1/0", '"text"', "requests_total[67s]", "nothing", "sum(requests_total)", "vector(1)", "time()",
        "topk(2, requests_total)", "sort_desc(requests_total)", "count_values('v', number)", "requests_total offset 5m",
        'label_replace(requests_total, "x", "$1", "path", "(.*)")', "requests_total @ 1772423100.5", "number == bool 1",
        "avg_over_time(requests_total[289s:1m])",
    ):  # fmt: skip
        yield "GET", "query", {"query": expr, **AT}
        yield "GET", "query", {"query": expr, **RFC}
    for moment in (
        "1772423999.9",
        "1772423999.123456",
        "2026-03-02T03:59:59.5Z",
        "2026-03-02T12:00:00+08:00",
        "1.7724e9",
    ):
        yield "GET", "query", {"query": "requests_total", "time": moment}
    for step in ("15", "1m", "37.5", "0.5", "1m30s", "1e2"):
        yield "GET", "query_range", {"query": "requests_total", "start": str(END - 60), "end": str(END), "step": step}
    yield "GET", "query_range", {"query": "scalar(vector(3))", **SPAN, "step": "5m"}
    yield "GET", "query_range", {"query": "nothing", **SPAN, "step": "5m"}
    yield "GET", "query", {"query": "1", "timeout": "5s", **AT}
    yield "GET", "query", {"query": "1", "timeout": "0.5", **AT}
    for name in ("i", "job", "__name__", "instance", "path", "none"):
        yield "GET", f"label/{name}/values", SPAN
    yield "GET", "label/instance/values", {"match[]": ["requests_total", 'number{i="01"}'], **SPAN}
    yield "GET", "label/i/values", {"match[]": 'number{i=~"0[1-3]"}'}
    yield "GET", "series", {"match[]": "nothing", **SPAN}
    yield "GET", "series", {"match[]": "number", "start": "0", "end": "10"}
    yield "GET", "labels", {"match[]": "nothing"}
    yield "GET", "metadata", {}
    yield "GET", "metadata", {"metric": "number", "limit": "3"}
    yield "GET", "targets", {"state": "active"}
    yield "GET", "targets", {"state": "dropped"}
    yield "GET", "targets/metadata", {"match_target": '{job="x"}', "metric": "m", "limit": "2"}
    yield "GET", "alertmanagers", {}
    for expr in FORMATTED:
        yield "GET", "format_query", {"query": expr}


def mistakes() -> Iterator[Call]:
    """Calls that are refused: status, errorType and, except of the parser, the words are Prometheus's."""
    yield "GET", "query", {"query": "1", "time": "yesterday"}
    yield "GET", "query", {"query": "1", "timeout": "soon"}
    yield "GET", "query_range", {"query": "1"}
    yield "GET", "query_range", {"query": "1", "start": "0"}
    yield "GET", "query_range", {"query": "1", "start": "0", "end": "10"}
    yield "GET", "query_range", {"query": "1", "start": "0", "end": "10", "step": "often"}
    yield "GET", "query_range", {"query": "1", "start": "0", "end": "10", "step": "0"}
    yield "GET", "query_range", {"query": "1", "start": "0", "end": "10", "step": "-1"}
    yield "GET", "query_range", {"query": "1", "start": "10", "end": "0", "step": "1"}
    yield "GET", "query_range", {"query": "1", "start": "0", "end": "11001", "step": "1"}
    yield "GET", "query_range", {"query": "up[5m]", "start": "0", "end": "10", "step": "1"}
    yield "GET", "query_range", {"query": '"x"', "start": "0", "end": "10", "step": "1"}
    yield "GET", "series", {}
    yield "GET", "series", {"match[]": "up", "start": "late"}
    yield "GET", "labels", {"end": "early"}
    yield "GET", "label/a-b/values", {}
    yield "GET", "rules", {"type": "none"}
    yield "GET", "query_exemplars", {"query": "up", "start": "x"}


def parse_mistakes() -> Iterator[Call]:
    for expr in ("", "sum(", "rate(up)", "up{", "foo bar", "1 +", "{}", "sum(up[5m])", "nosuch(up)"):
        yield "GET", "query", {"query": expr}
        yield "GET", "query_range", {"query": expr, "start": "0", "end": "10", "step": "1"}
    yield "GET", "series", {"match[]": "up{"}
    yield "GET", "series", {"match[]": "{}"}
    yield "GET", "label/job/values", {"match[]": "sum("}
    yield "GET", "format_query", {"query": "sum("}


def executions() -> Iterator[Call]:
    yield "GET", "query", {"query": "requests_total * on(job) requests_total", **AT}
    yield "GET", "query", {"query": 'label_replace(number, "i", "x", "", "")', **AT}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tmp = tmp_path_factory.mktemp("theirs")
    (tmp / "r.yaml").write_text(RULES)
    config = f"global: {{evaluation_interval: 1s}}\nrule_files: [{tmp / 'r.yaml'}]\n"
    with filled_prometheus(samples(), tmp, config) as running:
        yield running


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("ours")
    (folder / "rules").mkdir()
    (folder / "rules" / "r.yaml").write_text(RULES)
    with engine(folder) as house:
        for series, points in samples().items():
            layout = Layout((series,))
            for moment, value in points:
                at = round(moment * 1000)
                house.samples.append(Tick(target=repr(series), time_ms=at, layout=layout, values=np.array([value])))
        house.sources.clear()
        house.judging.start(house.clock.now())
        token, _ = create_system_token(house.state, "test", Role.VIEWER, now=house.clock.now())
        with TestClient(create(house), headers={"Authorization": f"Bearer {token}"}) as client:
            yield client


def ask_them(server: Running, method: str, path: str, parameters: Mapping[str, Any]) -> tuple[int, Any]:
    text = urllib.parse.urlencode(parameters, doseq=True)
    url = f"{server.url}/api/v1/{path}" + (f"?{text}" if method == "GET" else "")
    request = urllib.request.Request(url, data=text.encode() if method == "POST" else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask_us(client: TestClient, method: str, path: str, parameters: Mapping[str, Any]) -> tuple[int, Any]:
    keywords: dict[str, Any] = {"params" if method == "GET" else "data": parameters}
    answer = client.request(method, f"/api/v1/{path}", **keywords)
    return answer.status_code, answer.json()


def both(theirs: Running, ours: TestClient, path: str, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
    return ask_them(theirs, "GET", path, parameters)[1], ask_us(ours, "GET", path, parameters)[1]


def differing(
    theirs: Running, ours: TestClient, asked: Sequence[Call], shown: Callable[[str, Any], Any] = lambda _, body: body
) -> list[Any]:
    wrong = []
    for call in asked:
        method, path, parameters = call
        (their_status, their_body), (status, body) = ask_them(theirs, *call), ask_us(ours, *call)
        left, right = (their_status, shown(path, their_body)), (status, shown(path, body))
        if left != right:
            wrong.append((method, path, dict(parameters), left, right))
    return wrong


def comparable(path: str, body: Any) -> Any:
    """What may differ: an instant vector has no order unless it was sorted; matrices and lists have one."""
    data = body.get("data")
    if path == "query" and isinstance(data, dict) and data.get("resultType") == "vector":
        data["result"] = sorted(data["result"], key=json.dumps)
    if path == "query_range":  # rates: the last digit depends on the order of operations
        for row in data["result"]:
            row["values"] = [[at, f"{float(value):.12g}"] for at, value in row["values"]]
    if path == "targets":
        data.pop("droppedTargetCounts", None)  # newer than 2.42
    return body


def test_every_answer_is_prometheuss(theirs: Running, ours: TestClient) -> None:
    asked = list(calls())
    assert differing(theirs, ours, asked, comparable) == []
    assert len(asked) >= 90


def test_every_refusal_is_prometheuss(theirs: Running, ours: TestClient) -> None:
    assert differing(theirs, ours, list(mistakes())) == []


def test_what_does_not_parse_or_run_has_prometheuss_kind_of_error(theirs: Running, ours: TestClient) -> None:
    def kind(_: str, body: Any) -> Any:
        return {**body, "error": bool(body["error"])}

    assert differing(theirs, ours, [*parse_mistakes(), *executions()], kind) == []


def test_rules_and_alerts_have_prometheuss_fields_and_values(theirs: Running, ours: TestClient) -> None:
    house: Any = ours.app.state.engine  # type: ignore[attr-defined]
    (group,) = house.judging.book.groups
    asyncio.run(house.judging.step(group_key(group), house.clock.now()))
    deadline = time.monotonic() + 20
    while True:
        their_groups = ask_them(theirs, "GET", "rules", {})[1]["data"]["groups"]
        if all(row["health"] == "ok" for row in their_groups[0]["rules"]) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    our_groups = ask_us(ours, "GET", "rules", {})[1]["data"]["groups"]
    assert timeless(our_groups) == timeless(their_groups)
    for kind in ("alert", "record"):
        groups = [body["data"]["groups"] for body in both(theirs, ours, "rules", {"type": kind})]
        assert timeless(groups[0]) == timeless(groups[1])
    alerts = [timeless(body["data"]["alerts"]) for body in both(theirs, ours, "alerts", {})]
    assert sorted(alerts[0], key=json.dumps) == sorted(alerts[1], key=json.dumps)
    assert len(alerts[0]) == 2


TIMES = ("lastEvaluation", "evaluationTime", "activeAt", "file")


def timeless(tree: Any) -> Any:
    """Without what each measures for itself; a time must be there, and be one."""
    if isinstance(tree, list):
        return [timeless(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    return {key: type(value).__name__ if key in TIMES else timeless(value) for key, value in tree.items()}


@pytest.mark.parametrize("path", ["status/buildinfo", "status/runtimeinfo", "status/tsdb", "status/config"])
def test_what_a_server_says_of_itself_has_prometheuss_fields(theirs: Running, ours: TestClient, path: str) -> None:
    their_body, body = both(theirs, ours, path, {})
    assert their_body["data"].keys() <= body["data"].keys()
    for name, value in their_body["data"].items():
        assert type(body["data"][name]) is type(value), name


def test_flags_are_prometheuss_where_there_are_such(theirs: Running, ours: TestClient) -> None:
    their_body, body = both(theirs, ours, "status/flags", {})
    assert body["data"].keys() <= their_body["data"].keys()
    same = ("query.lookback-delta", "query.max-samples")
    assert {name: body["data"][name] for name in same} == {name: their_body["data"][name] for name in same}


def test_statistics_have_prometheuss_fields(theirs: Running, ours: TestClient) -> None:
    their_body, body = both(theirs, ours, "query", {"query": "sum(requests_total)", "stats": "all", **AT})
    for name in ("timings", "samples"):
        assert body["data"]["stats"][name].keys() == their_body["data"]["stats"][name].keys()


def test_times_and_numbers_are_written_letter_by_letter_as_prometheus_writes_them(
    theirs: Running, ours: TestClient
) -> None:
    asked = urllib.parse.urlencode({"query": "requests_total", "start": END - 40.75, "end": END, "step": "20.5"})
    with urllib.request.urlopen(f"{theirs.url}/api/v1/query_range?{asked}", timeout=10) as response:
        assert ours.get(f"/api/v1/query_range?{asked}").text == response.read().decode()
