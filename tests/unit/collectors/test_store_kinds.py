"""Stores that cannot run here: kinds against answers in the form of their own documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.kinds import of_service, unseen
from support.targets import answer, target

from watchkeeper.model import label, metric_name

#: Labels by which series of one metric are told apart.
OWN = ("color", "gc", "type", "breaker")
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
        (metric_name(series), *(label(series, own) for own in OWN)): value
        for tick in plain
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True)
    }
    assert got["elasticsearch_cluster_health_status", "yellow", "", "", ""] == 1.0
    assert got["elasticsearch_cluster_health_unassigned_shards", "", "", "", ""] == 4.0
    assert got["elasticsearch_jvm_gc_collection_seconds_sum", "", "young", "", ""] == 0.113
    assert got["elasticsearch_indices_search_query_time_seconds", "", "", "", ""] == 4.5
    assert got["elasticsearch_thread_pool_rejected_count", "", "", "search", ""] == 2.0
    assert got["elasticsearch_breakers_tripped", "", "", "", "request"] == 4.0


def exported() -> dict[tuple[str, ...], float]:
    """The exporter's page, without what docs/databases.md says is otherwise here."""
    lines = (DATA / "exporter.txt").read_text(encoding="utf-8").splitlines()
    found: dict[tuple[str, ...], float] = {}
    for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", "\n".join(lines), re.MULTILINE):
        said = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if said.get("area") != "non-heap" and (name, float(value)) != ("elasticsearch_cluster_health_status", 0.0):
            found[name, *(said.get(own, "") for own in OWN)] = float(value)
    return found


async def test_every_value_of_elasticsearch_is_the_real_exporters(tmp_path: Path) -> None:
    async with target() as server:
        server.pages |= {path: answer((DATA / name).read_bytes()) for path, name in PAGES.items()}
        ours = await of_service(tmp_path, "elasticsearch", f"127.0.0.1:{server.port}")
    got = {
        (metric_name(series), *(label(series, own) for own in OWN)): value
        for tick in ours
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True)
        if metric_name(series).startswith("elasticsearch_")
    }
    assert len(got) >= 30
    assert got == pytest.approx(exported())
