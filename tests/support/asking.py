"""One question to an engine's API, as an administrator asks it."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine


def asked(house: Engine, path: str) -> dict[str, Any]:
    token, _ = create_system_token(house.state, "test", Role.ADMIN, now=house.clock.now())
    with TestClient(create(house)) as api:
        answer = api.get(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
