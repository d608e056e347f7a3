"""A real net-snmp agent: v2c and v3, tables against its own console, lost datagrams, agents that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.kinds import of_service, unseen
from support.mutations import datagrams
from support.snmp_agents import console, shared_snmpd

from collectors.snmp import Snmp
from collectors.snmp_tables import MODULES
from watchkeeper.errors import CollectError
from watchkeeper.model import label, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = Outbound(allow_private=True)
IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"


def device(port: int, **options: Any) -> Snmp:
    return Snmp(**{"name": "n", "address": f"127.0.0.1:{port}", "community": "watch", **options})


def values(found: Collected, name: str, by: str) -> dict[str, float]:
    (tick,) = found.ticks
    rows = zip(tick.layout.series, tick.values.tolist(), strict=True)
    return {label(series, by): value for series, value in rows if metric_name(series) == name}


@pytest.mark.servers
async def test_tables_equal_the_agents_own_console() -> None:
    port = shared_snmpd().port
    uptime, octets = console(port, "1.3.6.1.2.1.1.3"), console(port, f"{IFX}.6")
    found = await device(port).collect(NOW, NOBODY)
    assert {name: values(found, name, "ifIndex") for name in ("ifOperStatus", "ifAdminStatus", "ifMtu", "ifSpeed")} == {
        name: {index: float(value) for index, value in console(port, f"{IF}.{column}").items()}
        for name, column in (("ifOperStatus", 8), ("ifAdminStatus", 7), ("ifMtu", 4), ("ifSpeed", 5))
    }
    later = console(port, f"{IFX}.6")
    for index, value in values(found, "ifHCInOctets", "ifIndex").items():
        assert float(octets[index]) <= value <= float(later[index])
    assert set(octets) == set(values(found, "ifHCInOctets", "ifIndex"))
    (ticks,) = values(found, "sysUpTime", "ifIndex").values()
    assert float(uptime["0"]) <= ticks <= float(console(port, "1.3.6.1.2.1.1.3")["0"])
    for name, column in (("hrStorageAllocationUnits", 4), ("hrStorageSize", 5)):
        sizes = console(port, f"1.3.6.1.2.1.25.2.3.1.{column}")
        assert values(found, name, "hrStorageIndex").keys() == sizes.keys()
    assert set(values(found, "ifHCInOctets", "ifName")) >= {"lo"}
    assert len(values(found, "hrProcessorLoad", "hrDeviceIndex")) == len(console(port, "1.3.6.1.2.1.25.3.3.1.2"))
    total, kib = console(port, "1.3.6.1.4.1.2021.4.5")["0"], values(found, "memTotalReal", "ifIndex")[""]
    assert kib == float(total.split()[0])


@pytest.mark.servers
@pytest.mark.parametrize(
    "options",
    [
        {"username": "clear", "password": "authsecret"},
        {"username": "sealed", "password": "authsecret", "authentication": "sha256", "privacy": "aes",
         "privacy_password": "privsecret"},
        {"username": "plain"},
    ],
)  # fmt: skip
async def test_version_3_with_and_without_secrets(options: dict[str, Any]) -> None:
    part = device(shared_snmpd().port, version="3", modules=["system"], **options)
    assert values(await part.collect(NOW, NOBODY), "ifNumber", "x")[""] >= 1


@pytest.mark.servers
@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({"community": "wrong"}, {"timeout"}),  # an agent does not answer strangers
        ({"version": "3", "username": "clear", "password": "wrong secret"}, {"token", "protocol", "timeout"}),
        ({"version": "3", "username": "nobody"}, {"token", "protocol", "timeout"}),
    ],
)
async def test_who_may_not_ask_is_told_and_learns_no_secret(options: dict[str, Any], reasons: set[str]) -> None:
    part = device(shared_snmpd().port, timeout=1.0, retry_after=0.3, modules=["system"], **options)
    with pytest.raises(CollectError) as failure:
        await part.collect(NOW, NOBODY)
    assert failure.value.reason in reasons
    assert "wrong" not in str(failure.value)
    assert (options.get("username") or "a community that it does not know") in str(failure.value)


@pytest.mark.servers
async def test_columns_of_ones_own_have_labels_of_their_rows_and_missing_tables_are_said() -> None:
    own = [
        {"name": "port_in_bytes", "oid": f"{IFX}.6", "index": "port", "labels": {"port_name": f"{IFX}.1"}},
        {"name": "uptime_seconds", "oid": "1.3.6.1.2.1.1.3", "index": "", "scale": 0.01},
        {"name": "nothing", "oid": "1.3.6.1.4.1.99999.1"},
    ]
    part = device(shared_snmpd().port, modules=[], metrics=own)
    found = await part.collect(NOW, NOBODY)
    assert "lo" in values(found, "port_in_bytes", "port_name")
    assert values(found, "uptime_seconds", "x")[""] < 100_000
    assert part.problems == {"metrics.nothing": "the device has no such table"}
    said = values(found, "watchkeeper_query_success", "query")
    assert said == {"metrics.port_in_bytes": 1, "metrics.uptime_seconds": 1, "metrics.nothing": 0}


@pytest.mark.servers
async def test_lost_datagrams_are_asked_for_again() -> None:
    count = 0

    def lossy(data: bytes) -> bytes | None:
        nonlocal count
        count += 1
        return None if count % 4 == 2 else data

    async with datagrams(shared_snmpd().port, lossy) as port:
        found = await device(port, modules=["interfaces"], retry_after=0.05).collect(NOW, NOBODY)
    assert values(found, "ifHCInOctets", "ifName").keys() >= {"lo"}


@pytest.mark.servers
async def test_an_agent_that_falls_silent_half_way_fails_in_time() -> None:
    answers = 0

    def silent(data: bytes) -> bytes | None:
        nonlocal answers
        answers += 1
        return data if answers < 4 else None

    async with datagrams(shared_snmpd().port, silent) as port:
        with pytest.raises(CollectError) as failure:
            await device(port, timeout=0.5, retry_after=0.1).collect(NOW, NOBODY)
    assert failure.value.reason == "timeout"


@pytest.mark.servers
async def test_a_network_device_of_the_catalogue_has_every_metric_it_promises(tmp_path: Path) -> None:
    ticks = await of_service(tmp_path, "network_device", f"127.0.0.1:{shared_snmpd().port}", community="watch")
    assert unseen("network_device", ticks) <= {"hrProcessorLoad"}  # net-snmp knows it after its first minute


def test_every_module_has_columns_in_numbers() -> None:
    for tables in MODULES.values():
        for table in tables:
            assert all(oid.replace(".", "").isdigit() for oid in (*table.values.values(), *table.labels.values()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": "3"}, "version 3 needs a username"),
        ({"metrics": [{"name": "x", "oid": "sysUpTime"}]}, "no OID in numbers"),
        ({"address": "http://x"}, "must be host:port"),
    ],
)
def test_mistakes_are_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Snmp(**{"name": "n", "address": "h", **options})


def test_no_file_is_needed_for_what_is_in_one(tmp_path: Path) -> None:
    (tmp_path / "community").write_text("watch\n")
    part = device(1, community=None, community_file=str(tmp_path / "community"))
    assert part.place() == "127.0.0.1:1"
