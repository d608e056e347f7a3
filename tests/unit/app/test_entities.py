"""Acts in lines: what is read, the risk as a series, the answer for systems that ask, and the record of advice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from support.engines import build, clock_of
from support.engines import engine as house
from support.journey import assert_ledgers, begin, walk
from typer.testing import CliRunner

from detectors.entities import Act, Standing
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.cli import app
from watchkeeper.app.client import Client
from watchkeeper.app.engine import Engine
from watchkeeper.app.entity_files import highest
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.entity_acts import Acts, Reading
from watchkeeper.app.pipeline.entity_advice import Decisions
from watchkeeper.app.pipeline.entity_packs import PACKS
from watchkeeper.app.pipeline.entity_places import Places, read_places
from watchkeeper.app.reload import reload
from watchkeeper.config import load
from watchkeeper.config.security import ActRule
from watchkeeper.errors import ConfigError
from watchkeeper.model import Event, EventKind, EventStatus, LogBatch, labels
from watchkeeper.store.state.repositories.audit import Wanted

READ = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
ZONE = UTC
FILE = "Nov 28 09:00:00 web-1 sshd[811]: "


def acts(*texts: str, rules: list[ActRule] | None = None, places: Places | None = None, **own: str) -> list[Act]:
    shipped = [rule for pack in PACKS.values() for rule in pack]
    reading = Reading([Acts.of(rule) for rule in (rules or shipped)], places or Places(), ZONE)
    return reading.acts(LogBatch.of(labels(None, own), texts, round(READ * 1000)))


def seconds(hour: int, minute: int = 0) -> float:
    return datetime(2026, 11, 28, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{FILE}Failed password for invalid user x y from 6.6.6.6 port 1 ssh2",
            {"user": "x y", "source": "6.6.6.6", "host": "web-1", "refused": True, "at": seconds(9)},
        ),
        (
            f"{FILE}message repeated 5 times: [ Failed password for root from 6.6.6.6 port 1 ssh2]",
            {"user": "root", "source": "6.6.6.6", "count": 5.0, "refused": True},
        ),
        (
            "Accepted publickey for bob from fe80::1%eth0 port 50022 ssh2: ED25519 SHA256:abc",
            {"user": "bob", "source": "fe80::1", "signed_in": True, "refused": False, "at": READ},
        ),
        (
            '61.1.1.1 - ada [28/Nov/2026:10:30:00 +0800] "GET /x HTTP/1.1" 200 5120 "-" "Mozilla/5.0 Firefox/118.0"',
            {"user": "ada", "source": "61.1.1.1", "size": 5120.0, "device": "Mozilla Firefox", "at": seconds(2, 30)},
        ),
        (
            '61.1.1.1 - - [28/Nov/2026:10:30:00 +0800] "POST /login HTTP/2.0" 401 -',
            {"user": "", "source": "61.1.1.1", "refused": True, "size": 0.0},
        ),
        (
            json.dumps({
                "@timestamp": "2026-11-28T01:00:00.5Z", "event": {"action": "user-login", "outcome": "failure"},
                "user": {"name": "eve"}, "source": {"ip": "1.1.1.1", "geo": {"city_name": "Paris", "location": {
                    "lat": 48.9, "lon": 2.3}}}, "host": {"name": "sso-1"},
            }),
            {"user": "eve", "source": "1.1.1.1", "refused": True, "signed_in": False, "host": "sso-1"},
        ),
        (
            '{"ts": 1795827600000, "user_id": 42, "client_ip": "1.1.1.1:5555", "status": 200, "event": "sign_in"}',
            {"user": "42", "source": "1.1.1.1", "signed_in": True, "at": 1795827600.0},
        ),
    ],
)  # fmt: skip
def test_lines_tell_of_acts(text: str, expected: dict[str, Any]) -> None:
    (found,) = acts(text)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "Server listening on 0.0.0.0 port 22.",
        '{"level": "info", "source": "app.py:12", "msg": "started"}',
        '{"user": "[masked:email]", "msg": "x"}',
        '{"user": "-", "ip": "somewhere"}',
        '- - - [28/Nov/2026:10:30:00 +0800] "-" 400 0',
        "{" + '"a":' * 5000,
    ],
)
def test_other_lines_tell_of_none(text: str) -> None:
    assert acts(text) == []


def test_a_rule_of_ones_own_comes_first_and_needs_its_source() -> None:
    rule = ActRule(
        name="vpn",
        match={"service": "vpn"},
        pattern=r"session (?P<event>opened|refused) for (?P<user>\S+) at (?P<source>\S+)",
        fields={"user": ["user"], "source": ["source"], "outcome": ["event"], "event": ["event"]},
        refused="refused",
        signed_in="opened",
    )
    lines = ("session opened for ada at gate-7", "session refused for bob at 6.6.6.6")
    found = acts(*lines, rules=[rule], service="vpn")
    assert [(one.user, one.source, one.signed_in, one.refused) for one in found] == [
        ("ada", "gate-7", True, False),
        ("bob", "6.6.6.6", False, True),
    ]
    assert acts(*lines, rules=[rule], service="shop") == []


def test_acts_alike_become_one_in_the_order_of_their_times() -> None:
    line = '61.1.1.1 - - [28/Nov/2026:10:30:0{} +0800] "GET / HTTP/1.1" 200 100'
    found = acts(
        *(line.format(second) for second in (5, 1, 2)), FILE + "Accepted password for a from 1.1.1.1 port 1 ssh2"
    )
    assert [(one.at < seconds(3), one.count, one.size) for one in found] == [(True, 3.0, 300.0), (False, 1.0, 0.0)]


def test_the_narrowest_network_says_where_an_address_is(tmp_path: Path) -> None:
    table = tmp_path / "places.csv"
    table.write_text(
        "network,place,latitude,longitude\n61.0.0.0/8,China,35,105\n61.2.0.0/16,Shanghai,31.2,121.5\n"
        "2001:db8::/32,,48.9,2.3\n10.0.0.0/8,,,\n"
    )
    places = read_places(table)
    asked = ("61.2.3.4", "61.9.9.9", "::ffff:61.2.0.1", "10.1.1.1")
    assert [getattr(places.of(one), "name", None) for one in asked] == ["Shanghai", "China", "Shanghai", None]
    assert getattr(places.of("2001:db8::1"), "name", None) == "48.9,2.3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("net,lat\n", "has no column network"),
        ("network,latitude,longitude\n300.0.0.0/8,1,1\n", "300.0.0.0"),
        ("network,latitude,longitude\n1.0.0.0/8,91,1\n", "in degrees"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "places.csv"
    table.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_places(table)


def guessing(count: int) -> str:
    return "".join(f"Failed password for root from 6.6.6.6 port {port} ssh2\n" for port in range(1, count + 1))


def options(log: Path, **more: Any) -> dict[str, Any]:
    source = {"kind": "log_file", "name": "auth", "paths": [str(log)], "interval": "5s", "service": "bastion"}
    collect = {"host": False, "own_logs": False, "interval": "5s", "sources": [source]}
    return {"collect": collect, "security": {"entities": {"enabled": True, **more}}}


def later(engine: Engine, hours: float) -> list[Standing]:
    """Risks as they will be."""
    return engine.entities.known.risks(engine.clock.now().timestamp() + 3600 * hours)


async def test_guessing_becomes_a_series_an_alert_advice_and_a_row_of_the_audit(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text("")
    engine = build(tmp_path, rules={"packs": ["security"], "interval": "5s"}, **options(log))
    await begin(engine)
    await walk(engine, 6)
    log.write_text(guessing(200))
    await walk(engine, 130)
    ((series, risk),) = engine.judging.ask('watchkeeper_entity_risk{kind="source"}', clock_of(engine).now())
    assert (dict(series)["entity"], dict(series)["service"]) == ("6.6.6.6", "bastion")
    assert 80 < risk < 100
    firing = engine.judging.ask('ALERTS{alertstate="firing"}', clock_of(engine).now())
    assert {dict(one)["alertname"] for one, _ in firing} >= {"SecurityEntityAtRisk"}
    token, _ = create_system_token(engine.state, "test", Role.VIEWER, now=engine.clock.now())
    with TestClient(create(engine), headers={"authorization": f"Bearer {token}"}) as asker:
        one = asker.get("/api/wk/security/entities/source/6.6.6.6").json()
        assert (one["advice"], one["refused"], one["reasons"][0]["reason"]) == ("block", 200, "brute_force")
        stranger = asker.get("/api/wk/security/entities/user/nobody").json()
        assert (stranger["risk"], stranger["advice"]) == (None, "unknown")
        assert asker.get("/api/wk/security/entities/robot/x").status_code == 400
        found = asker.get("/api/wk/security/entities", params={"kind": "source"}).json()
        assert [row["entity"] for row in found["entities"]] == ["6.6.6.6"]
        assert {(row["entity"], row["before"], row["after"]) for row in found["advised"]} == {
            ("6.6.6.6", "allow", "block"),
            ("root", "allow", "block"),
        }
    again = Decisions(engine.state)  # as after a restart
    again.step(later(engine, 0), engine.entities.options, engine.clock.now())
    assert again.standing == engine.entities.decisions.standing != {}
    with engine.state.read() as unit:
        assert len(unit.audit.newest(wanted=Wanted(action="advise"))) == 2, "it is no change to advise the same still"
    for hours in (0.7, 4):  # well below its threshold, and gone
        engine.entities.decisions.step(later(engine, hours), engine.entities.options, engine.clock.now())
    with engine.state.read() as unit:
        told = [row.detail["after"] for row in unit.audit.newest() if row.subject == "source/6.6.6.6"]
        assert unit.audit.verify() is None
    assert told == ["allow", "step_up", "block"]  # newest first
    await stop(engine)
    assert_ledgers(engine)


async def test_what_was_learned_outlives_a_restart_and_a_broken_file(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text("")
    for round_ in range(2):
        engine = build(tmp_path, **options(log))
        await begin(engine)
        await walk(engine, 6)
        if round_ == 0:
            log.write_text(guessing(200))
            await walk(engine, 6)
        assert engine.entities.counts()["source"] == 1
        await stop(engine)
    engine.data.entities.write_text('{"version": 1, "peers": {}}')
    engine = build(tmp_path, **options(log))
    assert engine.entities.counts()["source"] == 0
    await stop(engine)


async def test_a_reload_switches_it_on_and_off(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text(guessing(3))
    engine = build(tmp_path, **options(log, enabled=False))
    await begin(engine)
    assert "entities" not in engine.sources
    path = engine.loaded.path
    assert path is not None
    config = yaml.safe_load(path.read_text())
    for entities, mistake, known in (
        ({"enabled": True}, "", True),
        ({"enabled": True, "places": "nowhere.csv"}, "nowhere.csv", True),
        ({"enabled": False}, "", False),
    ):
        path.write_text(yaml.safe_dump({**config, "security": {"entities": entities}}))
        said = await reload(engine)
        assert mistake in said
        assert bool(said) is bool(mistake)
        assert ("entities" in engine.sources) is known
    await stop(engine)


def test_files_are_read_as_an_engine_would_have(tmp_path: Path) -> None:
    auth, access = tmp_path / "auth.log", tmp_path / "access.log"
    auth.write_text(
        "".join(f"Nov 28 09:00:{one:02d} web-1 sshd[1]: {row}\n" for one, row in enumerate(guessing(40).splitlines()))
    )
    access.write_text('61.1.1.1 - ada [28/Nov/2025:10:30:00 +0800] "GET / HTTP/1.1" 200 100\n')
    acts_read, rows = highest([access, auth], load(None))
    assert acts_read == 5  # alike within ten seconds are one
    assert {row["entity"] for row in rows if row["risk"] > 60} == {"6.6.6.6", "root", "web-1"}


def test_the_command_asks_the_engine_of_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"kind": "user", "entity": "ada", "risk": 61.0, "last_seen": "2026-03-02T04:00:00Z",
           "reasons": [{"reason": "brute_force", "points": 61.0, "detail": {"refused": 30}}]}  # fmt: skip
    asked: list[Any] = []

    class Asked:
        def __init__(self, data: Path | None) -> None:
            asked.append(data)

        def get(self, path: str, **query: Any) -> Any:
            asked.append((path, query["least"]))
            return {"enabled": True, "entities": [row]}

    monkeypatch.setattr(Client, "of", Asked)
    said = CliRunner().invoke(app, ["security", "risks", "--data", str(tmp_path)])
    assert asked == [tmp_path, ("/api/wk/security/entities", 20.0)]
    assert "brute_force 61 refused=30" in said.output


def finding(title: str, service: str = "", status: EventStatus = EventStatus.OK, **about: str) -> Event:
    start = datetime.fromtimestamp(READ, UTC)
    return Event(
        kind=EventKind.SECURITY_FINDING, title=title, start=start, service=service, status=status, labels=about,
        source="waf",
    )  # fmt: skip


def test_a_finding_of_others_raises_the_risk_of_whom_it_names(tmp_path: Path) -> None:
    with house(tmp_path, security={"entities": {"enabled": True}}) as engine:
        now = datetime.fromtimestamp(READ, UTC)
        engine.entities.found(
            [
                finding("SQL injection", "shop", severity="critical", source="6.6.6.6:443", user="-"),
                finding("old library", "orders", severity="High"),
                finding("was wrong", "calm", EventStatus.CANCELLED, severity="critical"),
                finding("odd download", user="bob", host="vpn-1", severity="whatever"),
            ],
            now,
        )
        known = {(one.entity.kind, one.entity.name): one for one in engine.entities.known.risks(READ)}
        points = {key: round(one.risk) for key, one in known.items()}
        assert points == {
            ("source", "6.6.6.6"): 90,
            ("service", "orders"): 70,
            ("user", "bob"): 40,
            ("host", "vpn-1"): 40,
        }
        ((reason, _),) = known["source", "6.6.6.6"].reasons
        assert (reason.name, dict(reason.detail)) == (
            "finding", {"title": "SQL injection", "severity": "critical", "by": "waf"},
        )  # fmt: skip
        assert known["source", "6.6.6.6"].entity.acts == 0  # it did nothing that we saw
        assert engine.entities.known.risks(READ + 3600)[0].risk == pytest.approx(45.0)
