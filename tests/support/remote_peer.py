"""A real Prometheus that writes to a real engine, and the two compared: raw ranges bit for bit, queries by value."""

from __future__ import annotations

import json
import math
import random
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support.engines import quiet
from support.servers import Running, answers, free_port, node_exporter, own_folder, prometheus, start

#: Seconds an engine may take to start on a busy machine.
ENGINE_SECONDS = 60.0
#: Queries whose windows end where no sample is: 2.42's windows hold both ends, ours Prometheus 3's. ``$w`` is a width.
#: No counter near 0 is asked for: 3 bounds what it extrapolates before it looks at 0, 2.42 the other way round.
QUERIES = (
    "rate(node_cpu_seconds_total[$w])",
    "sum by (mode) (rate(node_cpu_seconds_total[$w]))",
    'increase(node_cpu_seconds_total{mode="idle"}[$w])',
    'avg_over_time(go_goroutines{job=~"node|prometheus"}[$w])',
    "max_over_time(node_memory_MemFree_bytes[$w]) - min_over_time(node_memory_MemFree_bytes[$w])",
    "histogram_quantile(0.9, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[$w])))",
    'deriv(process_resident_memory_bytes{job=~"node|prometheus"}[$w])',
    'count_over_time(up{job=~"node|prometheus"}[$w])',
    "changes(node_load1[$w])",
    'topk(3, scrape_duration_seconds{job=~"node|prometheus"})',
    "node_filesystem_avail_bytes / node_filesystem_size_bytes",
    'timestamp(up{job=~"node|prometheus"})',
)


@dataclass
class Written:
    """Both servers while samples go from one to the other."""

    engine: Running
    peer: Running
    token: str
    folder: Path

    def ask(self, where: str, path: str, **parameters: Any) -> Any:
        """``data`` of an answer of the query API of ``peer`` or ``engine``."""
        base, headers = (
            (self.peer.url, {}) if where == "peer" else (self.engine.url, {"Authorization": f"Bearer {self.token}"})
        )
        url = f"{base}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as response:
            return json.loads(response.read())["data"]

    def metrics(self, where: str) -> str:
        headers = {} if where == "peer" else {"Authorization": f"Bearer {self.token}"}
        base = self.peer.url if where == "peer" else self.engine.url
        with urllib.request.urlopen(urllib.request.Request(f"{base}/metrics", headers=headers)) as response:
            return str(response.read().decode())


def engine_process(folder: Path, **sections: Any) -> Running:
    """``watchkeeper engine`` with a quiet configuration on a free port; a second start finds the first one's data."""
    port, file = free_port(), folder / "watchkeeper.yaml"
    (folder / "rules").mkdir(exist_ok=True)
    config = quiet(engine={"listen": f"127.0.0.1:{port}"}, data=str(folder / "data"), **sections)
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    argv = [str(Path(sys.executable).with_name("watchkeeper")), "engine", "--config", str(file)]
    url = f"http://127.0.0.1:{port}"
    running = start(argv, lambda: True, cwd=folder, url=url, port=port)
    deadline = time.monotonic() + ENGINE_SECONDS
    while not answers(f"{url}/-/ready"):
        if running.process.poll() is not None or time.monotonic() > deadline:
            running.stop(within=1.0)
            raise AssertionError(f"the engine is not ready; it said:\n{running.said()}")
        time.sleep(0.1)
    return running


def token_of(folder: Path) -> str:
    return (folder / "data" / "cli.token").read_text(encoding="utf-8").strip()


@contextmanager
def writing(folder: Path, *, interval: str = "1s") -> Iterator[Written]:
    """Prometheus scrapes itself and a node_exporter, and writes everything to an engine."""
    ours = own_folder(folder, "engine")
    with engine_process(ours) as engine, node_exporter(folder) as node:
        secret = folder / "token"
        secret.write_text(token_of(ours), encoding="utf-8")
        config: Mapping[str, Any] = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "scrape_configs": [
                {"job_name": "node", "static_configs": [{"targets": [node.url.split("/")[2]]}]},
                {"job_name": "prometheus", "static_configs": [{"targets": ["127.0.0.1:{port}"]}]},
            ],
            "remote_write": [
                {
                    "url": f"{engine.url}/api/v1/write",
                    "authorization": {"credentials_file": str(secret)},
                    "queue_config": {"batch_send_deadline": "1s"},
                }
            ],
        }
        with prometheus(yaml.safe_dump(config), folder) as peer:
            yield Written(engine, peer, token_of(ours), folder)


def run(found: Written, seconds: float) -> tuple[float, float]:
    """Let samples flow; (start, end) of what both have, in seconds."""
    began = time.time() + 2
    time.sleep(seconds)
    end = time.time()
    deadline = end + 60
    while _newest(found) < end and time.time() < deadline:
        time.sleep(0.2)
    return began, end


def _newest(found: Written) -> float:
    rows = found.ask("engine", "query", query='min(timestamp(up{job=~"node|prometheus"}))')["result"]
    return float(rows[0]["value"][1]) if rows else 0.0


def raw_differences(found: Written, began: float, end: float, count: int, seed: int) -> list[str]:
    """Ranges of random series and times, as both tell them; a line for each that differs."""
    chance, wrong = random.Random(seed), []
    series = found.ask("peer", "series", **{"match[]": '{__name__!=""}', "start": began, "end": end})
    for _ in range(count):
        labels = chance.choice(series)
        selector = "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"
        at = round(chance.uniform(began, end), 3)
        width = chance.randint(1, max(int(at - began), 1))
        theirs = _range(found, "peer", selector, width, at)
        if any(moment <= at - width + 0.0005 for moment, _ in theirs):  # on the edge that 2.42 still counts in
            theirs = [pair for pair in theirs if pair[0] > at - width + 0.0005]
        if theirs != (ours := _range(found, "engine", selector, width, at)):
            told = " and ".join(f"{len(one)} samples {one[:3]}" for one in (theirs, ours))
            wrong.append(f"{selector}[{width}s] @ {at}: {told}")
    return wrong


def _range(found: Written, where: str, selector: str, width: int, at: float) -> list[tuple[float, str]]:
    rows = found.ask(where, "query", query=f"{selector}[{width}s]", time=f"{at:.3f}")["result"]
    return [(float(moment), str(float(value))) for row in rows for moment, value in row["values"]]


def query_differences(found: Written, began: float, end: float) -> list[str]:
    """The queries over a grid that meets no sample; a line for each that differs."""
    every = f'up{{job=~"node|prometheus"}}[{int(end - began)}s]'
    times = found.ask("peer", "query", query=every, time=f"{end:.3f}")["result"]
    taken = {round(moment * 1000) % 1000 for row in times for moment, _ in row["values"]}
    free = next(ms for ms in range(137, 1137) if not {(ms + near) % 1000 for near in range(-20, 21)} & taken) % 1000
    width = max(min(30, int(end - began) // 2), 3)
    start, stop = int(began) + width + 1 + free / 1000, int(end) - 2 + free / 1000
    wrong = []
    for query in (text.replace("$w", f"{width}s") for text in QUERIES):
        told = [
            {
                tuple(sorted(row["metric"].items())): [(moment, value) for moment, value in row["values"]]
                for row in found.ask(where, "query_range", query=query, start=start, end=stop, step=1)["result"]
            }
            for where in ("peer", "engine")
        ]
        if not told[0] or not _close(*told):
            wrong.append(f"{query}: {len(told[0])} and {len(told[1])} series differ or are none")
    return wrong


def _close(theirs: Mapping[Any, Any], ours: Mapping[Any, Any]) -> bool:
    if theirs.keys() != ours.keys():
        return False
    for key, points in theirs.items():
        if [moment for moment, _ in points] != [moment for moment, _ in ours[key]]:
            return False
        for (_, one), (_, other) in zip(points, ours[key], strict=True):
            first, second = float(one), float(other)
            if not math.isclose(first, second, rel_tol=1e-9) and not (math.isnan(first) and math.isnan(second)):
                return False
    return True
