"""The count of changes moves with every change of users and sessions, and with nothing else."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from watchkeeper.app.api.changes import counted


def test_only_what_may_change_something_counts_even_when_it_fails() -> None:
    app = FastAPI()
    app.state.access_changes = 0

    @app.api_route("/users", methods=["GET", "POST", "PATCH", "DELETE"], dependencies=[Depends(counted)])
    def users(fail: bool = False) -> None:
        if fail:
            raise ValueError("broken")

    client = TestClient(app, raise_server_exceptions=False)
    client.get("/users")
    assert app.state.access_changes == 0
    for expected, method in enumerate(("POST", "PATCH", "DELETE"), start=1):
        client.request(method, "/users")
        assert app.state.access_changes == expected
    assert client.post("/users?fail=true").status_code == 500
    assert app.state.access_changes == 4
