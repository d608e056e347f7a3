"""A release is judged by its metrics: worse ones fail it at once, steady ones pass it in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from support.engines import NOON, clock_of, engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.release_signals import by_names
from watchkeeper.clock import to_ms
from watchkeeper.model import Layout, Tick, labels

SERVICES = {"services": [{"name": "shop"}]}
START, END = NOON - timedelta(minutes=12), NOON - timedelta(minutes=10)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, catalogue=SERVICES) as made:
        yield made


@pytest.fixture
def api(house: Engine) -> Iterator[TestClient]:
    token, _ = create_system_token(house.state, "test", Role.WRITER, now=NOON)
    with TestClient(create(house), headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def measured(house: Engine, name: str, before: float, after: float) -> None:
    """A signal of the shop every 30 s, from an hour before the release until now."""
    layout = Layout((labels(name, service="shop"),))
    for second in range(-3600, round((clock_of(house).now() - START).total_seconds()) + 1, 30):
        at = START + timedelta(seconds=second)
        tick = Tick(target=name, time_ms=to_ms(at), layout=layout, values=np.array([after if at > END else before]))
        house.samples.append(tick)


def deploy(api: TestClient, **more: Any) -> None:
    body = {"kind": "deploy", "title": "shop 1.4", "service": "shop", "version": "1.4", "environment": "PROD",
            "start": START.isoformat(), "end": END.isoformat(), **more}  # fmt: skip
    assert api.post("/api/wk/events", json=body).status_code == 201


def gate(api: TestClient, **query: str) -> dict[str, Any]:
    return dict(api.get("/api/wk/releases/gate", params={"service": "shop", **query}).json())


def series(house: Engine) -> dict[str, float]:
    asyncio.run(house.eventing.step(clock_of(house).now()))
    rows = house.cataloguing.ask("watchkeeper_release_gate_passed", clock_of(house).now())
    return {dict(one)["version"]: value for one, value in rows}


def test_errors_that_rise_fail_the_release_and_are_a_series(house: Engine, api: TestClient) -> None:
    measured(house, "error_rates", 0.001, 0.2)
    measured(house, "api_response_times", 0.1, 0.1)
    deploy(api)
    found = gate(api)
    assert (found["verdict"], found["final"], found["version"]) == ("failed", True, "1.4")
    assert {one["name"]: one["verdict"] for one in found["checks"]} == {"latency": "passed", "errors": "failed"}
    (row,) = api.get("/api/wk/changes").json()["releases"]
    assert (row["metrics"]["verdict"], row["soak"]) == ("failed", "roll_back"), "nobody calls it calm"
    assert series(house) == {"1.4": 0.0}


def test_a_service_without_golden_signals_is_judged_by_the_names_of_what_it_measures(
    house: Engine, api: TestClient
) -> None:
    measured(house, "cart_latency_seconds", 0.1, 0.6)
    measured(house, "go_gc_duration_seconds", 0.001, 0.9)
    measured(house, "cart_queue_length", 1.0, 900.0)
    deploy(api)
    found = gate(api)
    assert found["verdict"] == "failed"
    assert [(one["name"], one["before"], one["after"]) for one in found["checks"]] == [
        ("cart_latency_seconds", 0.1, 0.6)
    ]


def test_names_tell_latencies_errors_and_their_units() -> None:
    found = by_names(
        ["http_request_duration_seconds_bucket", "http_request_duration_seconds_sum", "cart_errors_total",
         "db_latency_ms", "up", "process_cpu_seconds_total", "log_template_lines_total", "orders_total"]
    )  # fmt: skip
    assert list(found) == ["cart_errors_total", "db_latency_ms", "http_request_duration_seconds", "error_lines"]
    assert found["db_latency_ms"].least == 10.0
    assert found["http_request_duration_seconds"].query.startswith("histogram_quantile(0.95")


def test_a_steady_release_is_watched_and_then_passes_and_stays_so(house: Engine, api: TestClient) -> None:
    measured(house, "error_rates", 0.01, 0.01)
    deploy(api, start=(NOON - timedelta(minutes=9)).isoformat(), end=(NOON - timedelta(minutes=7)).isoformat())
    assert (gate(api)["verdict"], gate(api)["final"]) == ("watching", False)
    clock_of(house).advance(timedelta(minutes=3))
    assert (gate(api)["verdict"], gate(api)["final"]) == ("passed", True)
    assert series(house) == {"1.4": 1.0}
    clock_of(house).advance(timedelta(days=3))
    assert gate(api)["verdict"] == "passed"


def test_without_measurements_it_is_unknown_and_a_deploy_that_failed_is_not_judged(
    house: Engine, api: TestClient
) -> None:
    deploy(api)
    assert gate(api)["verdict"] == "unknown"
    deploy(api, version="1.6", status="planned", start=(NOON + timedelta(days=1)).isoformat(), end=None)
    (row,) = api.get("/api/wk/changes").json()["releases"]
    assert (row["version"], gate(api)["version"]) == ("1.4", "1.4")
    deploy(api, version="1.5", status="failed")
    assert gate(api, version="1.5")["verdict"] == ""
    assert api.get("/api/wk/releases/gate", params={"service": "nobody"}).status_code == 404


def test_the_grey_stage_is_judged_where_nobody_told_how_it_went(house: Engine, api: TestClient) -> None:
    measured(house, "error_rates", 0.001, 0.2)
    deploy(api, labels={"stage": "grey"})
    deploy(api, start=END.isoformat(), end=NOON.isoformat())
    (row,) = api.get("/api/wk/changes").json()["releases"]
    assert row["gates"]["grey"] == "failed"


def test_a_canary_is_held_against_what_runs_beside_it(tmp_path: Path) -> None:
    check = {
        "name": "errors",
        "query": 'errs{version="$version"}',
        "baseline": 'errs{version!="$version"}',
        "least": 0.01,
    }
    with engine(tmp_path, catalogue=SERVICES, events={"gate": {"checks": [check]}}) as house:
        token, _ = create_system_token(house.state, "test", Role.WRITER, now=NOON)
        for version, value in (("1.3", 0.01), ("1.4", 0.3)):
            layout = Layout((labels("errs", version=version),))
            for second in range(0, 601, 30):
                at = END + timedelta(seconds=second)
                house.samples.append(Tick(target=version, time_ms=to_ms(at), layout=layout, values=np.array([value])))
        with TestClient(create(house), headers={"Authorization": f"Bearer {token}"}) as api:
            deploy(api)
            (one,) = gate(api)["checks"]
    assert (one["before"], one["after"], one["verdict"]) == (0.01, 0.3, "failed")
