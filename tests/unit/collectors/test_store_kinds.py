"""Stores that cannot run here: kinds against answers in the form of their own documentation."""

from __future__ import annotations

from pathlib import Path

from support.kinds import of_service, unseen
from support.targets import answer, target

from watchkeeper.model import label, metric_name

DATA = Path(__file__).parents[2] / "data/elasticsearch"
#: Answers in the form of Elasticsearch 7.17's reference, with values made up.
PAGES = {
    "/_cluster/health": "health.json",
    "/_nodes/_local/stats/indices,os,process,jvm,thread_pool,fs,breaker": "nodes.json",
}


async def test_health_and_statistics_of_elasticsearch_have_the_exporters_names_and_base_units(tmp_path: Path) -> None:
    async with target() as server:
        server.pages |= {path: answer((DATA / name).read_bytes()) for path, name in PAGES.items()}
        plain = await of_service(tmp_path, "elasticsearch", f"127.0.0.1:{server.port}")
        assert [path for _, path, _ in server.requests] == list(PAGES)
        again = await of_service(
            tmp_path, "elasticsearch", f"http://127.0.0.1:{server.port}"
        )  # https:// stands in the same place
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
