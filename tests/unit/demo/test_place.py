"""The folder of the demo: begun anew at every start, and never somebody else's."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
import yaml

from rules.load import load as load_rules
from watchkeeper.app.compose import check
from watchkeeper.app.demo import config, estate
from watchkeeper.app.demo.config import Servers
from watchkeeper.app.demo.faults import FAULTS
from watchkeeper.app.demo.place import MARK, PORTS, Place, free_ports
from watchkeeper.errors import ConfigError

BOTH = Servers(haproxy="/usr/sbin/haproxy", supervisord="/usr/bin/supervisord")
NONE = Servers(haproxy="", supervisord="")
DATA = Path(__file__).parents[2] / "data/rules/requirements.yaml"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path / "demo")
    found.claim().close()
    found.begin()
    return found


def test_every_start_begins_anew(place: Place) -> None:
    (place.faults / "slow-api").write_text("1")
    place.shop.write_text("old")
    (place.data.root / "samples").mkdir(parents=True)
    place.begin()
    assert list(place.faults.iterdir()) == []
    assert not place.shop.exists()
    assert not place.data.root.exists()
    assert (place.root / MARK).exists()


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not a folder of the demo"):
        Place(tmp_path).claim()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_running_demo_keeps_its_folder(place: Place) -> None:
    with place.claim(), pytest.raises(ConfigError, match="is in use by process"):
        place.claim()


def test_a_link_in_the_folder_is_removed_and_not_followed(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (place.root / "link").symlink_to(outside)
    place.begin()
    assert (outside / "precious").exists()
    assert not (place.root / "link").exists()


def test_a_path_too_long_for_sockets_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        Place(tmp_path / ("x" * 100)).claim()


def test_without_a_running_demo_the_way_to_start_one_is_named(place: Place) -> None:
    with pytest.raises(ConfigError, match="start one with `watchkeeper demo`"):
        place.about()
    place.tell({"faults": []})
    assert place.about() == {"faults": []}
    assert place.about_file.stat().st_mode & 0o777 == 0o600


def test_ports_are_different_and_free() -> None:
    ports = free_ports()
    assert set(ports) == set(PORTS)
    assert len(set(ports.values())) == len(PORTS)
    for port in ports.values():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    "servers", [BOTH, NONE, Servers(haproxy="", supervisord="/x"), Servers(haproxy="/x", supervisord="")]
)
def test_what_is_written_is_a_good_configuration(
    place: Place, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHKEEPER_DATA", raising=False)
    config.write(place, free_ports(), servers, "zh-CN")
    found = check(place.config)
    assert f"data: {place.data.root}" in found
    names = {rule.name for rule in load_rules(sorted(place.rules.glob("*.yaml"))).remedies}
    assert ("checkout_failover" in names) == bool(servers.haproxy)
    assert ("queue_scale_out" in names) == bool(servers.supervisord)


def test_the_four_rules_of_the_requirements_are_there_word_for_word(place: Place) -> None:
    config.write(place, free_ports(), NONE, "en")
    assert (place.rules / "requirements.yaml").read_bytes() == DATA.read_bytes()


def test_every_fault_has_an_alert_that_names_it(place: Place) -> None:
    config.write(place, free_ports(), NONE, "en")
    files = [yaml.safe_load((place.rules / f"{name}.yaml").read_text()) for name in ("alerts", "plans")]
    rules = [rule for file in files for rule in file["groups"][0]["rules"]]
    assert {rule["labels"]["demo_fault"] for rule in rules} == set(FAULTS)
    for rule in rules:
        assert rule["annotations"]["summary"] != rule["annotations"]["summary_en"]


def test_what_is_missing_is_named_with_the_command_that_installs_it() -> None:
    assert estate.missing(BOTH) == []
    lines = "\n".join(estate.missing(NONE))
    assert "apt-get install haproxy" in lines
    assert "apt-get install supervisor" in lines


def test_without_a_proxy_the_primary_is_not_killed_and_the_other_faults_are_offered() -> None:
    offered = estate.possible(Servers(haproxy="", supervisord="/x"))
    assert "checkout-primary" not in offered
    assert "queue-backlog" in offered
    assert set(estate.possible(BOTH)) == set(FAULTS)


def test_without_supervisord_two_workers_run_all_the_same(place: Place) -> None:
    names = [child.name for child in estate.processes(place, free_ports(), NONE)]
    assert [name for name in names if name.startswith("worker")] == ["worker-0", "worker-1"]
    assert "haproxy" not in names
    assert "supervisord" in [child.name for child in estate.processes(place, free_ports(), BOTH)]


def test_programs_of_others_are_started_so_that_they_die_with_the_demo(place: Place) -> None:
    children = {child.name: list(child.argv) for child in estate.processes(place, free_ports(), BOTH)}
    for name in ("haproxy", "supervisord"):
        assert children[name][1:3] == ["-m", "watchkeeper.app.demo.tied"]


def test_the_engine_waits_for_the_services_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_ports()
    listening = [socket.create_server(("127.0.0.1", ports[name])) for name in PORTS]
    try:
        estate.wait_until_listening(ports, [])
    finally:
        for one in listening:
            one.close()
    monkeypatch.setattr(estate, "READY", 0.1)
    began = time.monotonic()
    estate.wait_until_listening(ports, [])
    assert time.monotonic() - began >= 0.1
    monkeypatch.setattr(estate, "READY", 600.0)
    estate.wait_until_listening(ports, [2])
