"""The engine against a real Prometheus over the same samples.

Where 2.x and 3.x differ by design the questions keep clear: no sample lies on a window's edge, no counter starts near
zero, no name-keeping ``atan2``.
"""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from support.servers import Running, filled_prometheus

from watchkeeper.model import Labels, labels
from watchkeeper.promql import Engine, MemoryReader
from watchkeeper.promql.encode import Encoder

BASE = 1_700_000_000  #: seconds
START, END, STEP = BASE + 7.5, BASE + 2200.5, 61
VECTORS = ("g", "b", "a_total", "rate(a_total[131s])", 'g{i=~"[0-3]"}', "b offset 1m", f"g @ {BASE + 907}")
OVER_TIME = ("avg", "sum", "min", "max", "count", "stddev", "stdvar", "last", "present")
WINDOWS = (
    "g[137s]",
    "g[137s] offset 33s",
    "g[5m:37s]",
    "rate(a_total[67s])[5m:20s]",
    f"g[137s] @ {BASE + 1000}",
)
PLAIN = (
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "timestamp", "minute", "hour", "day_of_week",
    "day_of_month", "day_of_year", "days_in_month", "month", "year",
)  # fmt: skip
COMPARE = ("==", "!=", ">", "<", ">=", "<=")
OTHERS = (
    "quantile_over_time(0.3, g[137s])", "predict_linear(g[137s], 100)", 'absent_over_time(zz{q="1"}[1m])', "absent(zz)",
    "round(g, 0.7)", "clamp(g, -1, 2)", "clamp_min(g, 0)", "clamp_max(g, 0)", 'scalar(g{i="1"})', "vector(time())",
    "time()", "pi()", "-g", 'label_replace(g, "x", "$1-y", "i", "(.*)")', 'label_join(g, "x", "/", "i", "job")',
    "histogram_quantile(0.9, h_bucket)", "histogram_quantile(0.33, rate(h_bucket[127s]))",
    "histogram_quantile(0.5, sum by (le) (rate(h_bucket[127s])))", "histogram_quantile(1.2, h_bucket)",
    "topk(2, g)", "bottomk by (g) (1, g)", "g * on() group_left sum(b)", 'count_values("v", b)', "g @ start()",
    "rate(a_total[67s] @ end())", "sum(rate(a_total[67s])) / count(g)", '{__name__=~"g|b"}', 'count({__name__=~".+"})',
    "resets(a_total[137s])", "irate(a_total[137s])", "increase(a_total[137s])", "sum by (i) (g) atan2 sum by (i) (b)",
)  # fmt: skip


def questions() -> Iterator[str]:
    yield from (f"{name}_over_time({window})" for name, window in product(OVER_TIME, WINDOWS))
    yield from (f"{name}({window})" for name, window in product(("delta", "idelta", "changes", "deriv"), WINDOWS))
    for op, vector in product(("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group"), VECTORS):
        yield from (f"{op}({vector})", f"{op} by (g) ({vector})", f"{op} without (i, job) ({vector})")
    yield from (f"quantile by (g) (0.4, {vector})" for vector in VECTORS)
    for op in ("+", "-", "*", "/", "%", "^", *COMPARE):
        yield from (f"g {op} b", f"g {op} on(i) b", f"b {op} ignoring(job) g", f"g {op} 2", f"2 {op} g")
        yield f"g {op} on(g) group_left sum by (g) (b)"
        yield f"sum by (g) (b) {op} on(g) group_right(job) g"
    for op in COMPARE:
        yield from (f"g {op} bool b", f"g {op} bool 2", f"3 {op} bool 2")
    for op in ("and", "or", "unless"):
        yield from (f"g {op} b", f"g {op} on(g) b", f"b {op} ignoring(i, job) g", f"(g > 0) {op} b")
    yield from (f"{name}({vector})" for name, vector in product(PLAIN, ("g", "a_total")))
    yield from OTHERS


def samples() -> dict[Labels, list[tuple[int, float]]]:
    """Counters with resets, gauges of both signs, small numbers and a histogram; some with holes."""
    random = np.random.default_rng(3)
    found: dict[Labels, list[tuple[int, float]]] = {}
    for i, name in product(range(8), ("a_total", "g", "b")):
        if name == "b" and i % 2:
            continue
        times = np.arange(0, 1800, 15) + i % 3
        there = random.random(len(times)) > (0.15 if i % 2 else 0.0)
        values = {
            "a_total": 1e6 + np.cumsum(random.integers(0, 30, len(times))).astype(float),
            "g": random.normal(0, 50, len(times)).round(3),
            "b": random.integers(0, 4, len(times)).astype(float),
        }[name]
        if name == "a_total" and i % 4 == 1:
            values[70:] -= 500_000
        pairs = zip(times.tolist(), values.tolist(), there.tolist(), strict=True)
        key = labels(name, i=str(i), g="xy"[i % 2], job=f"j{i % 3}")
        found[key] = [(BASE + t, v) for t, v, kept in pairs if kept]
    for (le, weight), i in product((("0.1", 1), ("0.5", 3), ("1", 6), ("+Inf", 8)), range(3)):
        counts = [(BASE + t, 1e6 * weight + float(t // 15 * weight * (i + 1))) for t in range(0, 1800, 15)]
        found[labels("h_bucket", le=le, i=str(i))] = counts
    return found


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Prometheus that holds the samples."""
    with filled_prometheus(samples(), tmp_path_factory.mktemp("peer")) as running:
        yield running


def rows(result: list[dict[str, Any]]) -> dict[Labels, dict[float, float]]:
    return {
        tuple(sorted(row["metric"].items())): {time: float(value) for time, value in row["values"]} for row in result
    }


def near(left: float, right: float) -> bool:
    return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.servers
def test_every_answer_is_the_one_prometheus_gives(peer: Running) -> None:
    reader = MemoryReader()
    for series, points in samples().items():
        reader.add(series, [(time * 1000, value) for time, value in points])
    over, encode, wrong, asked = Engine(reader), Encoder(), [], list(dict.fromkeys(questions()))
    for expr in asked:
        query = urllib.parse.urlencode({"query": expr, "start": START, "end": END, "step": STEP})
        with urllib.request.urlopen(f"{peer.url}/api/v1/query_range?{query}") as response:
            theirs = rows(json.load(response)["data"]["result"])
        answer = encode(over.range(expr, int(START * 1000), int(END * 1000), STEP * 1000))
        ours = rows(json.loads(answer)["result"])
        same = ours.keys() == theirs.keys() and all(
            ours[key].keys() == theirs[key].keys() and all(near(ours[key][t], theirs[key][t]) for t in theirs[key])
            for key in theirs
        )
        if not same:
            wrong.append(expr)
    assert wrong == []
    assert len(asked) > 400
