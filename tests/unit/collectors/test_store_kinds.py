"""Stores that cannot run here: kinds against answers in the form of their own documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from support.kinds import unseen
from support.targets import TRUST, answer, target

from collectors import BUILTIN
from watchkeeper.app.catalogue import read
from watchkeeper.app.sources import build_source
from watchkeeper.model import Tick, label, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DATA = Path(__file__).parents[2] / "data/elasticsearch"
#: Answers in the form of Elasticsearch 7.17's reference, with values made up.
PAGES = {
    "/_cluster/health": "health.json",
    "/_nodes/_local/stats/indices,os,process,jvm,thread_pool,fs,breaker": "nodes.json",
}


async def collected(folder: Path, address: str) -> list[Tick]:
    text = f"catalogue: {{services: [{{name: logs, kind: elasticsearch, addresses: ['{address}']}}]}}"
    (folder / "watchkeeper.yaml").write_text(text)
    loaded, outbound = read(folder / "watchkeeper.yaml"), Outbound(allow_private=True, verify=TRUST)
    ticks: list[Tick] = []
    for row in loaded.config.collect.sources:
        found = await build_source(row, loaded.config, Registry("collectors", BUILTIN)).collector.collect(
            NOON, outbound
        )
        assert found.rejected == {}
        ticks += found.ticks
    await outbound.aclose()
    return ticks


async def test_health_and_statistics_of_elasticsearch_have_the_exporters_names_and_base_units(tmp_path: Path) -> None:
    async with target() as server:
        server.pages |= {path: answer((DATA / name).read_bytes()) for path, name in PAGES.items()}
        plain = await collected(tmp_path, f"127.0.0.1:{server.port}")
        assert [path for _, path, _ in server.requests] == list(PAGES)
        again = await collected(tmp_path, f"http://127.0.0.1:{server.port}")  # https:// stands in the same place
    assert unseen("elasticsearch", plain) == unseen("elasticsearch", again) == set()
    got = {
        (metric_name(series), *(label(series, own) for own in ("color", "gc", "type", "breaker"))): value
        for tick in plain
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True)
    }
    assert got["elasticsearch_cluster_health_status", "yellow", "", "", ""] == 1.0
    assert got["elasticsearch_cluster_health_unassigned_shards", "", "", "", ""] == 4.0
    assert got["elasticsearch_jvm_gc_collection_seconds_sum", "", "young", "", ""] == 0.113
    assert got["elasticsearch_indices_search_query_time_seconds", "", "", "", ""] == 4.5
    assert got["elasticsearch_thread_pool_rejected_count", "", "", "search", ""] == 2.0
    assert got["elasticsearch_breakers_tripped", "", "", "", "request"] == 4.0
