"""A name of the DNS on real Knot servers: switched by signed updates that compare first, seen by every server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.name_servers import Names, names, serial
from support.remedies import PLAN, intent_of

from remediation.actions.dns_servers import Key, Server
from remediation.actions.dns_update import DnsUpdate
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

pytestmark = pytest.mark.servers
KIND, TARGET = DnsUpdate(), Target(kind="dns_update", name="front")


@pytest.fixture(scope="module")
def knot() -> Iterator[Names]:
    """A primary and a secondary; each test leaves ``shop`` on its primary."""
    with tempfile.TemporaryDirectory(prefix="wk-") as folder, names(Path(folder)) as made:
        yield made


def read(settings: dict[str, Any]) -> Reading:
    return KIND.read(TARGET, settings)


def problem(settings: dict[str, Any], to: str = "backup") -> str:
    reading = read(settings)
    return KIND.impact(reading, KIND.desired(reading, {"primary": to})[0], settings).problem


def planned(before: list[str], desired: list[str], operation: str = "execute") -> Intent:
    plan = replace(PLAN, action="dns_update", before={"values": before}, desired={"values": desired})
    return intent_of(plan, operation=operation)


def test_a_switch_is_seen_by_every_server_keeps_its_ttl_and_leads_back(knot: Names) -> None:
    settings = knot.target()
    desired, before = KIND.desired(read(settings), {"away_from": "primary"})
    assert (desired, before) == ({"values": ["10.0.0.2"]}, {"values": ["10.0.0.1"]})
    impact = KIND.impact(read(settings), desired, settings)
    assert (impact.direction, impact.risk, impact.problem) == ("switch:backup", RiskClass.A2, "")
    done = KIND.apply(desired, planned(["10.0.0.1"], ["10.0.0.2"]), settings)
    assert done["settles_seconds"] == 30
    for server in knot.addresses:
        assert Server(server, Key("", "", ""), 2).ask("shop.example.com", "A") == (("10.0.0.2",), 30)
    after = read(settings)
    assert (after.state["behind"], after.capacity["answering"], after.capacity["settles_seconds"]) == ([], 2, 30)
    KIND.apply(before, planned(["10.0.0.1"], ["10.0.0.2"], "rollback"), settings)
    assert KIND.reached(read(settings), before)


def test_the_server_compares_with_what_the_plan_knew(knot: Names) -> None:
    settings, count = knot.target(servers=knot.addresses[:1]), serial(knot)
    with pytest.raises(ActionError, match="was changed by somebody else meanwhile: NXRRSET") as caught:
        KIND.apply({"values": ["10.0.0.2"]}, planned(["10.0.0.7"], ["10.0.0.2"]), settings)
    assert not caught.value.unknown
    assert (read(settings).state["values"], serial(knot)) == (["10.0.0.1"], count)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ({"key_secret": "bm90IHRoZSBrZXk="}, "PeerBadSignature"),
        ({"key_name": "stranger"}, "PeerBadKey"),
        ({"key_name": "reader"}, "PeerBadKey"),
        ({"key_name": ""}, "refused UPDATE: NOTAUTH|refused UPDATE: REFUSED"),
        ({"key_secret": "*"}, "is not base64"),
    ],
)
def test_whoever_may_not_change_it_is_told_so_and_changes_nothing(knot: Names, key: dict[str, str], says: str) -> None:
    settings = knot.target(servers=knot.addresses[:1], **key)
    with pytest.raises(ActionError, match=says) as caught:
        KIND.apply({"values": ["10.0.0.2"]}, planned(["10.0.0.1"], ["10.0.0.2"]), settings)
    assert not caught.value.unknown
    assert read(knot.target()).state["values"] == ["10.0.0.1"]


def test_what_others_keep_for_long_is_left_alone(knot: Names) -> None:
    settings = knot.target(record="slow.example.com")
    assert "others keep its answer for 3600 s, longer than 60: lower its TTL first" in problem(settings)
    with pytest.raises(ActionError, match="refused UPDATE: others keep"):
        KIND.apply({"values": ["10.0.0.2"]}, planned(["10.0.0.1"], ["10.0.0.2"]), settings)


def test_what_nobody_declared_is_somebody_elses(knot: Names) -> None:
    settings = knot.target(answers={"a": ["10.0.0.8"], "b": ["10.0.0.9", "10.0.0.1"]})
    assert problem(settings, "a") == "it answers 10.0.0.1, which is none of its answers"
    with pytest.raises(ActionError, match=r"there is no 10.0.0.77; there are backup, primary"):
        KIND.apply({"values": ["10.0.0.77"]}, planned(["10.0.0.1"], ["10.0.0.77"]), knot.target())
    with pytest.raises(ActionError, match="there is no other; there are backup, primary"):
        KIND.desired(read(knot.target()), {"primary": "other"})


def test_an_alias_is_switched_too_however_it_is_written(knot: Names) -> None:
    answers = {"eu": ["EU.shop.example.net"], "us": ["us.shop.example.net."]}
    settings = knot.target(record="www.example.com", type="CNAME", answers=answers, servers=knot.addresses[:1])
    desired, before = KIND.desired(read(settings), {"primary": "us"})
    assert before == {"values": ["eu.shop.example.net."]}
    for wanted, operation in ((desired, "execute"), (before, "rollback")):
        KIND.apply(wanted, planned(["eu.shop.example.net."], ["us.shop.example.net."], operation), settings)
        assert KIND.reached(read(settings), wanted)


def test_servers_that_do_not_agree_are_an_objection_and_a_silent_one_is_none(knot: Names, tmp_path: Path) -> None:
    with names(tmp_path, secondaries=0) as other:
        KIND.apply({"values": ["10.0.0.2"]}, planned(["10.0.0.1"], ["10.0.0.2"]), other.target())
        both = knot.target(servers=[*knot.addresses[:1], *other.addresses])
        assert problem(both) == f"{other.addresses[0]} answers something else than {knot.addresses[0]}"
    assert (read(both).state["silent"], problem(both)) == (other.addresses, "")


def test_what_is_not_there_or_not_ours_is_refused(knot: Names) -> None:
    with pytest.raises(ActionError, match=r"there is no nobody.example.com/A"):
        read(knot.target(record="nobody.example.com"))
    with pytest.raises(ActionError, match="response requires a TSIG"):
        read(knot.target(record="shop.example.org", zone="example.org"))
    with pytest.raises(ActionError, match="refused QUERY: REFUSED"):
        read(knot.target(record="shop.example.org", zone="example.org", key_name=""))
    with pytest.raises(ActionError, match=r"shop\.example\.org is not in the zone example\.com"):
        read(knot.target(record="shop.example.org"))
    with pytest.raises(ActionError, match="is no A record"):
        read(knot.target(answers={"a": ["10.0.0.300"], "b": ["10.0.0.1"]}))
    for wrong in ("ns1.example.com:53", "10.0.0.1", "10.0.0.1:0"):
        with pytest.raises(ConfigError, match="write address:port"):
            read(knot.target(servers=[wrong]))
