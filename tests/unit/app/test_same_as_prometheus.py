"""One awkward target scraped by Prometheus and by us: the same series with the same values, also as they go away."""

from __future__ import annotations

import asyncio
import json
import math
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from support.engines import build
from support.servers import Running, prometheus
from support.targets import answer, target

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.clock import SystemClock

pytestmark = pytest.mark.servers

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: odd
    static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{dc: east}}}}]
    relabel_configs: [{{source_labels: [dc], target_label: site, replacement: 'x-$1'}}]
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: noise, action: drop}}
      - {{regex: 'exported_exported_(.*)', action: labelmap, replacement: 'ee_$1'}}
"""
ALWAYS = r"""# HELP odd_total odd \\ things
# TYPE odd_total counter
odd_total{a="x\"y\\z\n"} 7
odd_total{a="dup"} 1
odd_total{a="dup"} 1
job_own{job="theirs",instance="own",exported_job="q"} 3
nan_v NaN
inf_v +Inf
small_v -1e-7
big_v 1.7976931348623157e+308
empty_label{a=""} 5
spaced  {a = "1" , }  6
noise 1
m_bucket{le="+Inf"} 2
"""
#: What is on the page in turn; None: the target fails.
PHASES = ("flap 1\n", 'flap{n="2"} 2\n', None, "flap 4\n")

Series = dict[tuple[tuple[str, str], ...], str]


def theirs(server: Running) -> Series:
    asked = urllib.parse.urlencode({"query": '{job=~".+"}', "time": time.time()})
    with urllib.request.urlopen(f"{server.url}/api/v1/query?{asked}", timeout=10) as said:
        rows = json.load(said)["data"]["result"]
    return comparable({tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in rows})


def ours(engine: Engine) -> Series:
    rows = engine.judging.ask('{job=~".+",job!="watchkeeper"}', SystemClock().now())
    return comparable({tuple(sorted(series)): value for series, value in rows})


def comparable(found: dict[tuple[tuple[str, str], ...], float]) -> Series:
    """Without what each measures for itself."""
    return {
        series: "NaN" if math.isnan(value) else repr(value)
        for series, value in found.items()
        if dict(series)["__name__"] != "scrape_duration_seconds"
    }


async def settled(engine: Engine, source: Source, server: Running) -> tuple[Series, Series]:
    """Both answers once they agree, or as they stand after half a minute."""
    deadline = time.monotonic() + 30
    while True:
        await engine.collecting.step(source, SystemClock().now())
        both = await asyncio.to_thread(theirs, server), ours(engine)
        if both[0] == both[1] or time.monotonic() > deadline:
            return both
        await asyncio.sleep(0.3)


async def test_every_series_is_the_same_as_prometheuss_as_they_come_and_go(tmp_path: Path) -> None:
    async with target() as page:
        text = CONFIG.format(port=page.port)
        (tmp_path / "prometheus.yml").write_text(text)
        (tmp_path / "server").mkdir()
        page.pages["/metrics"] = answer(ALWAYS.encode())
        collect = {"host": False, "own_logs": False, "scrape_config_files": ["prometheus.yml"]}
        engine = build(tmp_path, collect=collect, clock=SystemClock(), scoring={"enabled": False})  # type: ignore[arg-type]  # a clock that runs
        with await asyncio.to_thread(prometheus, text, tmp_path / "server") as server:
            await engine.scraping.step(SystemClock().now())
            (source,) = [source for name, source in engine.sources.items() if name.startswith("odd/")]
            for extra in PHASES:
                failed = answer(b"", status="503 Service Unavailable")
                page.pages["/metrics"] = failed if extra is None else answer((ALWAYS + extra).encode())
                prometheus_says, we_say = await settled(engine, source, server)
                assert we_say == prometheus_says, f"after {extra!r}"
                up = [value for series, value in we_say.items() if dict(series)["__name__"] == "up"]
                assert up == (["0.0"] if extra is None else ["1.0"])
        await stop(engine)
