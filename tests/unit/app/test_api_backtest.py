"""Back-tests over the API are for operators, bounded, and few at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from support.engines import engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.bounds import Bounds, TooMuchError

PATH = "/api/wk/rules/backtest"
RULES = "groups: [{name: g, interval: 15s, rules: [{alert: Hot, expr: vector(1)}]}]"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def app(house: Engine) -> FastAPI:
    return create(house)


@pytest.fixture
def api(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def bearer(house: Engine, role: Role = Role.OPERATOR) -> dict[str, str]:
    token, _ = create_system_token(house.state, f"test-{role}", role, now=house.clock.now())
    return {"Authorization": f"Bearer {token}"}


def test_a_viewer_may_not_back_test_and_an_operator_may(house: Engine, api: TestClient) -> None:
    body = {"text": RULES, "days": 0.01}
    assert api.post(PATH, headers=bearer(house, Role.VIEWER), json=body).status_code == 403
    assert api.post(PATH, headers=bearer(house), json=body).json()["rules"][0]["rule"] == "Hot"


def test_too_many_rules_and_steps_are_refused_before_any_work(house: Engine, api: TestClient) -> None:
    rules = ", ".join(f"{{alert: A{number}, expr: vector(1)}}" for number in range(50))
    many = f"groups: [{{name: g, interval: 15s, rules: [{rules}]}}]"
    answer = api.post(PATH, headers=bearer(house), json={"text": many, "days": 30})
    assert answer.status_code == 422
    assert "name one rule" in answer.json()["error"]


def test_a_third_back_test_at_once_is_told_to_come_back(house: Engine, app: FastAPI, api: TestClient) -> None:
    body = {"text": RULES, "days": 0.001}
    with app.state.turns.take(), app.state.turns.take():
        answer = api.post(PATH, headers=bearer(house), json=body)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "10"
    assert api.post(PATH, headers=bearer(house), json=body).status_code == 200


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (lambda: Bounds(values=10), "more than 10 values"),
        (lambda: Bounds(seconds=5, clock=iter(range(0, 1000, 2)).__next__), "longer than 5 s"),
    ],
)
def test_a_back_test_ends_when_its_values_or_seconds_are_spent(
    house: Engine, bounds: Callable[[], Bounds], words: str
) -> None:
    with pytest.raises(TooMuchError, match=words):
        house.judging.backtest(RULES, "r.yaml", "", timedelta(hours=1), house.config.zone, bounds=bounds())
