"""From services to what the engine runs, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchkeeper.app.catalogue import expand, read
from watchkeeper.app.catalogue.monitor import host, port
from watchkeeper.config import Loaded, load
from watchkeeper.errors import ConfigError

SHOP = """
catalogue:
  services:
    - name: checkout
      kind: python_api
      owner: lin
      addresses: [10.0.0.5:8000, 10.0.0.6:8000]
      options: {health: /api/health}
      depends_on: [orders-db]
      replicas: 2
      limits: {memory: 1Gi, cpu: 1000m}
      logs: [/var/log/checkout/*.log]
    - {name: orders-db}
"""


def written(folder: Path, text: str) -> Loaded:
    (folder / "watchkeeper.yaml").write_text(text, encoding="utf-8")
    return read(folder / "watchkeeper.yaml")


def test_a_kind_brings_sources_for_each_address_its_packs_and_its_promises(tmp_path: Path) -> None:
    loaded = written(tmp_path, SHOP)
    rows = {row.name: row for row in loaded.config.collect.sources}
    assert sorted(rows) == [
        "checkout:10.0.0.5:8000", "checkout:10.0.0.6:8000", "checkout:health:10.0.0.5:8000",
        "checkout:health:10.0.0.6:8000", "checkout:logs",
    ]  # fmt: skip
    assert rows["checkout:10.0.0.5:8000"].options == {"url": "http://10.0.0.5:8000/metrics"}
    assert rows["checkout:health:10.0.0.6:8000"].options["steps"][0]["url"] == "http://10.0.0.6:8000/api/health"
    assert {row.service for row in rows.values()} == {"checkout"}
    assert loaded.config.rules.packs[-1] == "catalogue"
    (promise,) = loaded.config.objectives.items
    assert (promise.name, promise.service, promise.tier, promise.owner) == (
        "checkout.success",
        "checkout",
        "core",
        "lin",
    )
    assert 'service="checkout"' in promise.good
    checkout, database = loaded.services
    assert checkout.limits == {"memory": 2**30, "cpu": 1.0}
    assert checkout.depends_on == ("orders-db",)
    assert (database.kind, database.tier) == ("", "")


def test_expanding_leaves_a_configuration_without_services_as_it_was(tmp_path: Path) -> None:
    loaded = load(None)
    assert expand(loaded).config == loaded.config


def test_services_of_another_file_and_of_an_inventory_stand_beside_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("services:\n  - {name: cache, tier: support}\n", encoding="utf-8")
    (tmp_path / "machines.csv").write_bytes(
        "主机,类型,责任人,地址,核,内存\nweb-1,linux_host,王伟,10.0.1.1:9100,4,8Gi\n".encode("gb18030")
    )
    loaded = written(
        tmp_path,
        """
catalogue:
  files: [more.yaml]
  inventories:
    - file: machines.csv
      columns: {name: 主机, kind: 类型, owner: 责任人, addresses: 地址, cpu: 核, memory: 内存}
""",
    )
    cache, machine = loaded.services
    assert cache.name == "cache"
    assert (machine.owner, machine.origin, machine.limits) == ("王伟", "inventory", {"cpu": 4.0, "memory": 8 * 2**30})
    assert [row.options["url"] for row in loaded.config.collect.sources] == ["http://10.0.1.1:9100/metrics"]


WRONG = {
    "kind": (
        "{name: a, kind: pyton_api}",
        "3: catalogue.services[0].kind: unknown service kind 'pyton_api'; did you mean 'python_api'?",
    ),
    "address": (
        "{name: a, kind: python_api}",
        "3: catalogue.services[0].addresses: a service of kind python_api needs addresses, such as [10.0.0.5:9100]",
    ),
    "option": (
        "{name: a, kind: linux_host, addresses: [h:1], options: {pasword: x}}",
        "takes the options: bearer_token_file, ca_file, certificate, headers, key, password",
    ),
    "value": (
        "{name: a, kind: linux_host, addresses: [h:1], options: {timeout: soon}}",
        "3: catalogue.services[0].options: its collector openmetrics says: ",
    ),
    "tier": (
        "{name: a, tier: gold}",
        "3: catalogue.services[0].tier: unknown tier 'gold'; known are agent, core, support",
    ),
    "depends": (
        "{name: a, depends_on: [b]}",
        "3: catalogue.services[0].depends_on: no service is named 'b'; a line with only its name is enough",
    ),
    "itself": ("{name: a, depends_on: [a]}", "a depends on itself; take it out of depends_on"),
    "quantity": ("{name: a, limits: {memory: 1 GiBi}}", "write a quantity such as 2, 1000m, 512Mi or 10GB"),
}


@pytest.mark.parametrize("mistake", sorted(WRONG))
def test_a_mistake_is_told_with_line_key_and_remedy(tmp_path: Path, mistake: str) -> None:
    row, told = WRONG[mistake]
    with pytest.raises(ConfigError) as refused:
        written(tmp_path, f"catalogue:\n  services:\n    - {row}\n")
    assert told in str(refused.value)


def test_two_services_of_one_name_are_refused_across_files(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("services:\n  - {name: a}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"more.yaml:2: services\[0\].name: two services share the name 'a'"):
        written(tmp_path, "catalogue:\n  files: [more.yaml]\n  services:\n    - {name: a}\n")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.5:9100", ("10.0.0.5", "9100")),
        ("db.example.com", ("db.example.com", "")),
        ("https://u:p@shop.example.com:8443/health", ("shop.example.com", "8443")),
        ("redis://cache:6379/0", ("cache", "6379")),
    ],
)
def test_host_and_port_of_an_address(address: str, expected: tuple[str, str]) -> None:
    assert (host(address), port(address)) == expected
