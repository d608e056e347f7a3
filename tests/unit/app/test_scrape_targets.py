"""Targets of scrape_configs as sources of the engine: they come, change and go with what discovery says."""

from __future__ import annotations

import json
from pathlib import Path

from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, gauges, walk
from support.targets import Target, target

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.reload import reload

CONFIG = """
scrape_configs:
  - job_name: shop
    scrape_interval: 5s
    file_sd_configs: [{files: [targets.json]}]
    relabel_configs: [{source_labels: [__meta_dc], target_label: dc}]
    metric_relabel_configs: [{source_labels: [__name__], regex: noise, action: drop}]
"""
COLLECT = {"host": False, "own_logs": False, "scrape_config_files": ["prometheus.yml"]}


def found_by_discovery(folder: Path, *servers: Target, dc: str = "east") -> None:
    rows = [{"targets": [f"127.0.0.1:{server.port}"], "labels": {"__meta_dc": dc}} for server in servers]
    (folder / "targets.json").write_text(json.dumps(rows))


def now(engine: Engine, query: str) -> list[tuple[str, str, float]]:
    """(port, dc, value) of what has a sample now."""
    rows = engine.judging.ask(query + '{job="shop"}', clock_of(engine).now())
    told = [({**dict(series)}, value) for series, value in rows]
    return sorted((said["instance"].rpartition(":")[2], said.get("dc", ""), value) for said, value in told)


async def test_targets_come_change_and_go_with_discovery(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(CONFIG)
    async with target() as first, target() as second:
        one, two = str(first.port), str(second.port)
        for server in (first, second):
            server.pages["/metrics"] = gauges(temperature=20, noise=1)
        found_by_discovery(tmp_path, first)
        engine = build(tmp_path, collect=COLLECT)
        await begin(engine)
        await walk(engine, 16)
        assert now(engine, "temperature") == [(one, "east", 20.0)]
        assert now(engine, "noise") == []
        assert now(engine, "up") == [(one, "east", 1.0)]
        assert now(engine, "scrape_samples_scraped") == [(one, "east", 2.0)]
        assert now(engine, "scrape_samples_post_metric_relabeling") == [(one, "east", 1.0)]
        assert now(engine, "scrape_series_added") == [(one, "east", 0.0)]
        kept = engine.sources[f"shop/127.0.0.1:{one}"]

        found_by_discovery(tmp_path, first, second)
        await walk(engine, 16)
        assert now(engine, "up") == sorted([(one, "east", 1.0), (two, "east", 1.0)])
        assert engine.sources[f"shop/127.0.0.1:{one}"] is kept

        (tmp_path / "targets.json").write_text("[broken")
        await walk(engine, 16)
        assert len(now(engine, "up")) == 2, "what was known stays"

        found_by_discovery(tmp_path, second, dc="west")
        await walk(engine, 16)
        assert now(engine, "up") == [(two, "west", 1.0)], "what went and what has other labels is stale at once"
        assert now(engine, "temperature") == [(two, "west", 20.0)]

        second.pages.pop("/metrics")
        await walk(engine, 10)
        assert now(engine, "up") == [(two, "west", 0.0)]
        assert now(engine, "temperature") == []
        assert now(engine, "scrape_samples_scraped") == [(two, "west", 0.0)]
        assert_ledgers(engine)
        await stop(engine)


async def test_a_reload_takes_over_scrape_configurations_or_refuses_them(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(CONFIG)
    async with target() as server:
        server.pages["/metrics"] = gauges(temperature=20)
        found_by_discovery(tmp_path, server)
        engine = build(tmp_path, collect=COLLECT)
        await begin(engine)
        await walk(engine, 11)
        port = str(server.port)
        (tmp_path / "prometheus.yml").write_text(CONFIG.replace("action: drop", "action: dorp"))
        assert "prometheus.yml:7: scrape_configs[0].metric_relabel_configs" in await reload(engine)
        await walk(engine, 11)
        assert now(engine, "temperature") == [(port, "east", 20.0)]
        (tmp_path / "prometheus.yml").write_text(CONFIG.replace("target_label: dc", "target_label: zone"))
        assert await reload(engine) == ""
        await walk(engine, 16)
        assert now(engine, "temperature") == [(port, "", 20.0)]
        (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
        assert await reload(engine) == ""
        await walk(engine, 6)
        assert now(engine, "up") == []
        assert [name for name in engine.sources if name.startswith("shop/")] == []
        await stop(engine)
