"""Secrets of the configuration stay inside: no answer, label, message, log or error shows one."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.engines import engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.config import load
from watchkeeper.errors import ConfigError
from watchkeeper.model import format_series
from watchkeeper.telemetry import set_up_logging

CANARY = "CANARY"
CLOSED = "127.0.0.1:1"
SOURCES: list[dict[str, Any]] = [
    {"kind": "openmetrics", "name": "om", "url": f"http://scraper:{CANARY}-om@{CLOSED}/metrics?token={CANARY}-omq"},
    {"kind": "openmetrics", "name": "userinfo", "url": f"http://{CANARY}-only@{CLOSED}/metrics?api_key={CANARY}-key"},
    {"kind": "prometheus_api", "name": "prom", "url": f"http://u:{CANARY}-prom@{CLOSED}", "queries": {"a": "up"}},
    {
        "kind": "http_probe",
        "name": "probe",
        "steps": [
            {
                "name": "a",
                "url": f"http://u:{CANARY}-probe@{CLOSED}/?token={CANARY}-probeq",
                "body": f"{CANARY}-body",
                "headers": {"Authorization": f"Bearer {CANARY}-header"},
            }
        ],
    },
    {
        "kind": "sql_query",
        "name": "sql",
        "url": f"postgresql+psycopg://u:{CANARY}-sql@{CLOSED}/db",
        "queries": [{"name": "one", "sql": "SELECT 1 AS value", "values": ["value"]}],
        "timeout": 2,
    },
]
CHANNELS: list[dict[str, Any]] = [
    {
        "name": "ding",
        "kind": "dingtalk",
        "url": f"http://{CLOSED}/robot/send?access_token={CANARY}-ding",
        "secret": f"SEC{CANARY}",
        "allow_hosts": ["127.0.0.1"],
    },
    {
        "name": "wecom",
        "kind": "wecom",
        "url": f"http://{CLOSED}/cgi-bin/webhook/send?key={CANARY}-wecom",
        "allow_hosts": ["127.0.0.1"],
    },
    {
        "name": "feishu",
        "kind": "feishu",
        "url": f"http://{CLOSED}/open-apis/bot/v2/hook/{CANARY}-feishu",
        "secret": f"{CANARY}-fs",
        "allow_hosts": ["127.0.0.1"],
    },
    {
        "name": "hook",
        "kind": "webhook",
        "url": f"http://u:{CANARY}-hook@{CLOSED}/{CANARY}-path",
        "bearer": f"{CANARY}-bearer",
        "secret": f"{CANARY}-sign",
    },
    {
        "name": "mail",
        "kind": "email",
        "host": "127.0.0.1",
        "port": 1,
        "security": "none",
        "username": "u",
        "password": f"{CANARY}-mail",
        "sender": "a@example.com",
        "recipients": ["b@example.com"],
    },
]
KPIS: list[dict[str, Any]] = [
    {
        "name": "visits",
        "source": {
            "kind": "http",
            "url": f"http://u:{CANARY}-kpi@{CLOSED}/?token={CANARY}-kpiq",
            "headers": {"authorization": f"{CANARY}-kpih"},
            "path": "a",
        },
    },
    {
        "name": "orders",
        "source": {
            "kind": "sql",
            "url": f"postgresql+psycopg://u:{CANARY}-kpisql@{CLOSED}/db",
            "timeout": "2s",
            "query": "SELECT count(*) AS value FROM o WHERE at >= :start AND at < :end",
        },
    },
]
OPEN = ("/-/healthy", "/-/ready", "/api/wk/setup")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    folder = tmp_path_factory.mktemp("secrets")
    sections: dict[str, Any] = {
        "collect": {"sources": SOURCES},
        "notify": {"channels": CHANNELS, "routes": [{"channels": [row["name"] for row in CHANNELS]}]},
        "business": {"enabled": True, "kpis": KPIS},
    }
    before = logging.getLogger().handlers[:]
    log = folder / "log" / "engine.log"
    with engine(folder, **sections) as found:
        set_up_logging(log, process="engine")
        asyncio.run(use(found))
        yield found, log
    for handler in logging.getLogger().handlers:
        handler.close()
    logging.getLogger().handlers[:] = before


async def use(found: Engine) -> None:
    """Every source is read and every channel is tried; all of them fail."""
    now = found.clock.now()
    found.judging.start(now)
    for source in list(found.sources.values()):
        if source.name in {row["name"] for row in SOURCES}:
            await found.collecting.step(source, now)
    for row in CHANNELS:
        await found.telling.test(str(row["name"]), "en", "tester", now)
    await found.business.step(now)


def test_no_answer_of_the_api_holds_a_secret(house: tuple[Engine, Path]) -> None:
    found, _ = house
    token, _ = create_system_token(found.state, "admin", Role.ADMIN, now=found.clock.now())
    with TestClient(create(found), headers={"Authorization": f"Bearer {token}"}) as api:
        described = api.get("/api/openapi.json").json()["paths"]
        paths = sorted(path for path, methods in described.items() if "get" in methods)
        assert {"/metrics", "/api/wk/collectors", "/api/wk/status", "/api/wk/audit", "/api/v1/targets"} <= set(paths)
        asked: dict[str, Any] = {
            "query": '{__name__=~".+"}',
            "expr": "up",
            "start_ms": 0,
            "end_ms": 1,
            "step_ms": 1,
            "match[]": '{__name__=~".+"}',
        }
        for path in paths:
            name = re.sub(r"\{[a-z_]+\}", "instance", path.replace("{form}", "html"))
            answer = api.get(name, params=asked)
            assert answer.status_code in (200, 400, 401, 403, 404, 422, 503), path
            assert CANARY not in answer.text, path
        shown = api.get("/api/v1/targets").json()["data"]["activeTargets"]
        assert {row["scrapePool"] for row in shown} >= {row["name"] for row in SOURCES}
        assert any(row["lastError"] for row in shown)
        wrong = api.post("/api/wk/notify/test", json={"channel": "hook", "language": "en"})
        assert CANARY not in wrong.text


def test_no_label_of_a_stored_series_holds_a_secret(house: tuple[Engine, Path]) -> None:
    found, _ = house
    series = found.samples.series([], 0, 1 << 60)
    assert len(series) > 10
    assert not [one for one in map(format_series, series) if CANARY in one]


def test_neither_state_nor_log_nor_descriptions_hold_a_secret(house: tuple[Engine, Path]) -> None:
    found, log = house
    logging.getLogger("watchkeeper.test").error("still writing")
    text = log.read_text(encoding="utf-8")
    assert "source failing" in text
    assert CANARY not in text
    for part in (found.loaded, found.config, found.telling, found.telling.channels):
        assert CANARY not in repr(part)
    for file in found.data.root.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("row", [*SOURCES, *CHANNELS], ids=lambda row: str(row["name"]))
def test_a_mistake_beside_a_secret_does_not_tell_it(tmp_path: Path, row: dict[str, Any]) -> None:
    broken = {**row, "no_such_option": 1}
    section = {"collect": {"sources": [broken]}} if row in SOURCES else {"notify": {"channels": [broken]}}
    (tmp_path / "w.yaml").write_text(json.dumps(section))
    with pytest.raises(ConfigError) as caught, engine(tmp_path, **section):
        load(tmp_path / "w.yaml")
    assert CANARY not in str(caught.value)
