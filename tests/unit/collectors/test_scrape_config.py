"""scrape_configs of Prometheus: which targets they make, and where those are looked up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from support.targets import TRUST, answer, target

from collectors.openmetrics import Openmetrics
from collectors.scrape_config import ScrapeConfig, ScrapeTarget, targets
from collectors.scrape_discovery import DnsSd, FileSd, Group, HttpSd
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

HERE = Path()


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


def scrape_config(**keys: Any) -> ScrapeConfig:
    return TypeAdapter(ScrapeConfig).validate_python({"job_name": "shop", **keys})


def made(found: list[Group] | None = None, base: Path = HERE, **keys: Any) -> list[ScrapeTarget]:
    config = scrape_config(**keys)
    good, wrong = targets(config, [*config.static_groups(), *(found or [])], base)
    assert wrong == []
    return good


def one(**keys: Any) -> ScrapeTarget:
    (found,) = made(static_configs=[{"targets": ["10.0.0.7:8080"], "labels": {"dc": "east"}}], **keys)
    return found


def test_a_static_target_with_prometheuss_defaults() -> None:
    found = one()
    assert found.options["url"] == "http://10.0.0.7:8080/metrics"
    assert (found.interval, found.options["timeout"]) == (timedelta(minutes=1), 10.0)
    assert found.labels == {"job": "shop", "instance": "10.0.0.7:8080", "dc": "east"}
    assert found.name == "shop/10.0.0.7:8080"
    assert found.discovered["__metrics_path__"] == "/metrics"


def test_its_options_are_those_of_an_openmetrics_collector() -> None:
    found = one(
        sample_limit=5, body_size_limit="2MB", label_limit=3, honor_labels=True, honor_timestamps=False,
        metric_relabel_configs=[{"action": "labeldrop", "regex": "x"}],
    )  # fmt: skip
    part = TypeAdapter(Openmetrics).validate_python({**found.options, "name": found.name, "labels": dict(found.labels)})
    assert (part.sample_limit, part.max_bytes, part.label_limit) == (5, 2 << 20, 3)
    assert (part.honor_labels, part.honor_timestamps) == (True, False)
    assert part.target_labels == dict(found.labels)


def test_relabelling_moves_everything_that_makes_a_target() -> None:
    found = one(
        params={"module": ["old", "second"], "x": "1"},
        relabel_configs=[
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__param_module", "replacement": "http"},
            {"target_label": "__address__", "replacement": "probe.example:9115"},
            {"target_label": "__metrics_path__", "replacement": "probe"},
            {"target_label": "__scheme__", "replacement": "https"},
            {"target_label": "__scrape_interval__", "replacement": "30s"},
            {"target_label": "__tmp", "replacement": "gone"},
        ],
    )
    address = "https://probe.example:9115/probe?module=http&module=second&x=1&target=10.0.0.7%3A8080"
    assert found.options["url"] == address
    assert found.interval == timedelta(seconds=30)
    assert found.labels == {"job": "shop", "instance": "10.0.0.7:8080", "dc": "east"}


def test_a_dropped_target_is_none_and_two_alike_are_one() -> None:
    drop = [{"source_labels": ["dc"], "regex": "east", "action": "drop"}]
    groups = [{"targets": ["a:1", "b:1"], "labels": {"dc": "east"}}, {"targets": ["c:1", "c:1"]}]
    found = made(static_configs=groups, relabel_configs=drop)
    assert [target.labels["instance"] for target in found] == ["c:1"]


@pytest.mark.parametrize(
    ("address", "scheme", "url"),
    [
        ("host", "http", "http://host:80/metrics"),
        ("host", "https", "https://host:443/metrics"),
        ("[::1]:9", "http", "http://[::1]:9/metrics"),
        ("::1", "http", "http://[::1]:80/metrics"),
    ],
)
def test_an_address_without_a_port_gets_its_schemes(address: str, scheme: str, url: str) -> None:
    (found,) = made(static_configs=[{"targets": [address]}], scheme=scheme)
    assert found.options["url"] == url


@pytest.mark.parametrize(
    ("address", "rules", "why"),
    [
        ("http://host/metrics", [], "no address to scrape"),
        ("a:b", [], "Port"),
        ("a:1", [{"target_label": "__address__", "replacement": ""}], "no __address__"),
        ("a:1", [{"target_label": "__scheme__", "replacement": "ftp"}], "no address to scrape"),
        ("a:1", [{"target_label": "__scrape_timeout__", "replacement": "5m"}], "scrape_timeout"),
        ("a:1", [{"target_label": "__scrape_interval__", "replacement": "soon"}], "duration"),
    ],
)
def test_a_target_that_cannot_be_scraped_is_named_and_leaves_the_others(
    address: str, rules: list[dict[str, Any]], why: str
) -> None:
    rules = [{"source_labels": ["__address__"], "regex": "good:1", "action": "replace", "target_label": "x"}, *rules]
    config = scrape_config(static_configs=[{"targets": [address]}], relabel_configs=rules)
    good, wrong = targets(config, config.static_groups(), HERE)
    assert good == []
    assert len(wrong) == 1
    assert "shop" in wrong[0]
    assert why in wrong[0]


def test_over_target_limit_nothing_is_scraped() -> None:
    config = scrape_config(static_configs=[{"targets": ["a:1", "b:1"]}], target_limit=1)
    assert targets(config, config.static_groups(), HERE) == (
        [],
        ["shop: 2 targets, target_limit is 1: none is scraped"],
    )


def test_credentials_go_into_the_request_and_never_into_labels(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    groups: Any = {"static_configs": [{"targets": ["a:1"]}]}
    (found,) = made(base=tmp_path, basic_auth={"username": "u", "password_file": "pw"}, **groups)
    assert found.options["headers"] == {"authorization": "Basic dTpzM2NyZXQ="}
    (found,) = made(authorization={"credentials": "tok"}, **groups)
    assert found.options["headers"] == {"authorization": "Bearer tok"}
    (found,) = made(base=tmp_path, bearer_token_file="tok", **groups)
    assert found.options["bearer_token_file"] == str(tmp_path / "tok")
    assert "s3cret" not in repr(scrape_config(basic_auth={"username": "u", "password": "s3cret"}))


@pytest.mark.parametrize(
    "keys",
    [
        {"scrape_interval": "5s", "scrape_timeout": "6s"},
        {"scheme": "gopher"},
        {"consul_sd_configs": []},
        {"relabel_configs": [{"action": "nope"}]},
        {"dns_sd_configs": [{"names": ["x"], "type": "A"}]},
        {"body_size_limit": "many"},
    ],
)
def test_what_is_wrong_is_refused_when_it_is_read(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        scrape_config(**keys)


# --- discovery ----------------------------------------------------------------------------------------------------


async def test_files_of_targets_in_json_and_yaml(outbound: Outbound, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"targets": ["a:1"], "labels": {"x": "${HOME}"}}]))
    (tmp_path / "b.yml").write_text("- targets: ['b:1', 'c:1']\n")
    part = TypeAdapter(FileSd).validate_python({"files": ["*.json", "*.yml", "none.json"]})
    found = await part.look(outbound, tmp_path)
    assert [(group.targets, group.labels.get("x")) for group in found] == [
        (("a:1",), "${HOME}"),
        (("b:1", "c:1"), None),
    ]
    assert found[0].labels["__meta_filepath"] == str(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["{", '{"targets": []}', '[{"target": ["a"]}]', '[{"targets": [1]}]', "[" * 9999])
async def test_a_broken_file_says_its_name(outbound: Outbound, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CollectError, match=r"a\.json"):
        await TypeAdapter(FileSd).validate_python({"files": ["a.json"]}).look(outbound, tmp_path)


def as_json(body: object) -> bytes:
    page = answer(json.dumps(body).encode())
    return page.replace(b"text/plain; version=0.0.4", b"application/json; charset=utf-8")


async def test_a_server_of_targets(outbound: Outbound) -> None:
    async with target(sd=as_json([{"targets": ["a:1"], "labels": {"__meta_x": "y"}}]), words=answer(b"[]")) as server:
        part = TypeAdapter(HttpSd).validate_python({"url": server.url("/sd")})
        (group,) = await part.look(outbound, HERE)
        assert group == Group(("a:1",), {"__meta_x": "y", "__meta_url": server.url("/sd")})
        assert b"x-prometheus-refresh-interval-seconds: 60" in server.requests[0][2].lower()
        for path, why in (("/words", "application/json"), ("/nothing", "status 404")):
            with pytest.raises(CollectError, match=why):
                await TypeAdapter(HttpSd).validate_python({"url": server.url(path)}).look(outbound, HERE)


def test_dns_without_a_port_is_only_for_srv() -> None:
    assert TypeAdapter(DnsSd).validate_python({"names": ["x"]}).type == "SRV"
    with pytest.raises(ValidationError, match="port"):
        TypeAdapter(DnsSd).validate_python({"names": ["x"], "type": "aaaa"})
