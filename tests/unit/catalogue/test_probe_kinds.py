"""Service kinds that are probed: two lines bring the whole monitor set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from watchkeeper.app.catalogue import read
from watchkeeper.config import Loaded

TURNS = [{"name": "hours", "ask": "When do you open?", "contains": ["9:00"]}]
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "http_service": ({"attempts": 30}, ["http_probe"]),
    "website": ({"page": "/home"}, ["http_probe", "tls_probe", "page_probe"]),
    "tcp_service": ({"server_name": "a.example", "packets": 3}, ["tcp_probe", "tls_probe", "icmp_probe"]),
    "dns_server": ({"query": "shop.example"}, ["dns_probe"]),
    "ai_agent": ({"turns": TURNS, "metrics": "/metrics"}, ["conversation_probe", "openmetrics"]),
}


def loaded(folder: Path, *services: dict[str, Any]) -> Loaded:
    (folder / "watchkeeper.yaml").write_text(yaml.safe_dump({"catalogue": {"services": list(services)}}))
    return read(folder / "watchkeeper.yaml")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_probed_kind_brings_its_probes_its_pack_and_its_promise(kind: str, tmp_path: Path) -> None:
    options, kinds = KINDS[kind]
    service = {"name": "a", "kind": kind, "owner": "lin", "addresses": ["a.example:8080"], "options": options}
    found = loaded(tmp_path, service)
    assert [row.kind for row in found.config.collect.sources] == kinds
    assert "probes" in found.config.rules.packs
    assert [item.name for item in found.config.objectives.items] == ["a.answers"]


def test_the_four_agents_of_the_docs_are_each_talked_to(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/probes.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```yaml\n") if "xiaoai" in part).split("```")[0]
    (tmp_path / "watchkeeper.yaml").write_text(block.replace("/etc/watchkeeper", str(tmp_path)), encoding="utf-8")
    (tmp_path / "agents.token").write_text("k-1")
    found = read(tmp_path / "watchkeeper.yaml")
    assert [row.name for row in found.config.collect.sources] == ["xiaoai", "xiaoke", "laoke", "soer"]


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("shop.example", "https://shop.example"),
        ("https://shop.example:8443/", "https://shop.example:8443"),
        ("http://shop.example", "http://shop.example"),
    ],
)
def test_a_website_is_named_by_its_host_or_by_its_whole_address(tmp_path: Path, address: str, asked: str) -> None:
    service = {"name": "a", "kind": "website", "addresses": [address], "options": {"page": "/home"}}
    http, tls, page = loaded(tmp_path, service).config.collect.sources
    assert http.options["steps"][0]["url"] == f"{asked}/"
    assert page.options["url"] == f"{asked}/home"
    assert "shop.example" in str(tls.options)
    assert "//" not in str(tls.options)
