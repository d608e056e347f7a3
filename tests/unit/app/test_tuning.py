"""Advice comes from what is measured; what people change on it is measured before and after, and never done by us."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from support.engines import NOON, clock_of, engine

from analytics.tuning import ADVICE, advised, judged
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.model import Layout, Tick, labels
from watchkeeper.promql import parse

QUEUE = next(one for one in ADVICE if one.kind == "queue_wait")
CACHE = next(one for one in ADVICE if one.kind == "cache_hit")
MAIL = {"service": "shop", "queue": "mail"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, catalogue={"services": [{"name": "shop"}]}) as made:
        yield made


@pytest.fixture
def api(house: Engine) -> TestClient:
    token, _ = create_system_token(house.state, "test", Role.ADMIN, now=NOON)
    return TestClient(create(house), headers={"authorization": f"Bearer {token}"})


def runs(house: Engine, minutes: int, **values: float) -> None:
    """The queue's wait and how fast the shop answers, a sample each minute; time passes."""
    layout = Layout((labels("job_queue_oldest_age_seconds", MAIL), labels("api_response_times", service="shop")))
    for _ in range(minutes):
        clock_of(house).advance(60)
        now = to_ms(house.clock.now())
        house.samples.append(
            Tick(target="t", time_ms=now, layout=layout, values=np.array([values["wait"], values["took"]]))
        )


def test_a_queue_that_waited_for_an_hour_is_advised_on_and_a_mended_one_is_judged(
    house: Engine, api: TestClient
) -> None:
    runs(house, 70, wait=300.0, took=0.8)
    (advice,) = api.get("/api/wk/tuning").json()["advice"]
    assert (advice["kind"], advice["labels"], advice["value"]) == ("queue_wait", MAIL, 300.0)
    done = {"kind": "queue_wait", "labels": MAIL, "what": "four workers more"}
    assert api.post("/api/wk/tuning/applied", json=done).status_code == 201
    (fresh,) = api.get("/api/wk/tuning").json()["applied"]
    assert {one["verdict"] for one in fresh["measures"]} == {"unknown"}  # nothing was measured since
    runs(house, 30, wait=20.0, took=0.4)
    (found,) = api.get("/api/wk/tuning").json()["applied"]
    signal, latency = found["measures"]
    assert (signal["name"], signal["verdict"], signal["before"], signal["after"]) == ("signal", "improved", 300.0, 20.0)
    assert (latency["name"], latency["verdict"], latency["better_by"]) == ("latency", "improved", pytest.approx(0.5))
    assert (found["by"], found["what"]) == ("system:test", "four workers more")
    rows = api.get("/api/wk/audit", params={"action": "tuning."}).json()["rows"]
    assert rows[0]["detail"]["what"] == "four workers more"


def test_a_change_event_that_names_its_advice_is_measured_too(house: Engine, api: TestClient) -> None:
    runs(house, 65, wait=300.0, took=0.4)
    at = house.clock.now().isoformat()
    event = {"kind": "config_change", "title": "workers: 8", "service": "shop", "start": at, "end": at,
             "labels": {"tuning": "queue_wait"}}  # fmt: skip
    assert api.post("/api/wk/events", json=event).status_code == 201
    other = {**event, "title": "of no advice", "labels": {"tuning": "nonsense"}}
    assert api.post("/api/wk/events", json=other).status_code == 201
    runs(house, 30, wait=900.0, took=0.4)
    (found,) = api.get("/api/wk/tuning").json()["applied"]
    assert [(one["name"], one["verdict"]) for one in found["measures"]] == [
        ("signal", "worse"),
        ("latency", "unchanged"),
    ]
    assert found["by"].startswith("event-")


def test_a_record_that_could_not_be_measured_is_refused(api: TestClient) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"kind": "magic"}, "is no advice"), ({"at": "2030-01-01T00:00:00Z"}, "lies in the future"),
        ({"what": ""}, "what"), ({"labels": {}}, "labels"),
    ]  # fmt: skip
    for change, said in changes:
        body = {"kind": "queue_wait", "labels": MAIL, "what": "more workers", **change}
        answer = api.post("/api/wk/tuning/applied", json=body)
        assert answer.status_code == 422, change
        assert said in answer.text


def test_advice_needs_a_known_window_that_was_beyond_the_limit_for_most_of_it() -> None:
    nan = math.nan
    assert advised([100.0] * 9 + [10.0], QUEUE) == 100.0
    assert advised([100.0] * 5 + [10.0] * 5, QUEUE) is None
    assert advised([100.0] * 7 + [nan] * 3, QUEUE) is None
    assert advised([nan] * 10, QUEUE) is None
    assert advised([], QUEUE) is None
    assert advised([0.5] * 10, CACHE) == 0.5  # here lower is worse
    assert advised([0.9] * 10, CACHE) is None


@pytest.mark.parametrize(
    ("before", "after", "higher", "verdict"),
    [
        ([10.0] * 9, [5.0] * 9, True, "improved"), ([10.0] * 9, [20.0] * 9, True, "worse"),
        ([10.0] * 9, [10.5] * 9, True, "unchanged"), ([0.5] * 9, [0.9] * 9, False, "improved"),
        ([10.0] * 2, [5.0] * 9, True, "unknown"), ([10.0] * 9, [5.0] * 2, True, "unknown"),
        ([8.0, 12.0, 2.0, 18.0, 10.0], [7.0] * 5, True, "unchanged"),  # within noise
    ],
)  # fmt: skip
def test_what_did_not_move_beyond_noise_did_not_help(
    before: list[float], after: list[float], higher: bool, verdict: str
) -> None:
    assert judged(before, after, higher_is_worse=higher).verdict == verdict


def test_every_advice_is_promql() -> None:
    for one in ADVICE:
        parse(one.query)
