"""Contingency plans from a terminal, against a real engine over HTTP."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from support.engines import PASSWORD, add_user, engine
from typer.testing import CliRunner

from watchkeeper.access.roles import Role
from watchkeeper.app.api.app import create
from watchkeeper.app.cli import app
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import _credentials
from watchkeeper.app.paths import write_private

PLAN = {"name": "flood", "drill_every": "30d", "steps": [{"name": "call", "limit": "5m"}, {"name": "move"}]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, plans={"items": [PLAN]}) as found:
        _credentials(found, found.clock.now())
        add_user(found, "opa", Role.OPERATOR)
        add_user(found, "vic", Role.VIEWER)
        server = uvicorn.Server(uvicorn.Config(create(found), port=0, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        write_private(found.data.engine_ready, f'{{"url": "http://127.0.0.1:{port}"}}')
        yield found
        server.should_exit = True
        thread.join()


def run(found: Engine, *words: str, typed: str = "") -> Any:
    return CliRunner().invoke(app, ["plans", *words, "--data", str(found.data.root)], input=typed)


async def look(found: Engine) -> None:
    await found.planning.step(found.clock.now())


async def test_a_plan_is_started_gone_through_and_taken_away_from_the_terminal(served: Engine, tmp_path: Path) -> None:
    assert "never drilled  DRILL OVERDUE" in run(served, "list").output
    begun = run(served, "start", "flood", "--reason", "water", "--user", "opa", typed=f"{PASSWORD}\n")
    assert begun.output.strip().endswith("plan-1"), begun.output
    assert "under way" in str(run(served, "start", "flood", "--reason", "water").exception)
    await look(served)
    shown = run(served, "show", "plan-1").output
    assert "flood running, at call" in shown
    assert "active     call [person]" in shown
    assert "opa: water" in shown
    assert "not being taken" in str(run(served, "done", "plan-1", "move").exception)
    assert "at move" in run(served, "done", "plan-1", "call", "--note", "reached").output
    await look(served)
    refused = run(served, "skip", "plan-1", "move", "--note", "dry", "--user", "vic", typed=f"{PASSWORD}\n")
    assert "may not" in str(refused.exception) or "permission" in str(refused.exception), refused.exception
    assert run(served, "skip", "plan-1", "move", "--note", "dry").exit_code == 0
    await look(served)
    assert "flood completed" in run(served, "list").output
    file = tmp_path / "out.zip"
    assert run(served, "pack", "plan-1", "-o", str(file)).exit_code == 0
    with zipfile.ZipFile(file) as archive:
        assert "reached" in archive.read("timeline.csv").decode()


async def test_a_drill_is_called_off_with_a_reason(served: Engine) -> None:
    assert run(served, "drill", "flood").output.strip() == "plan-1"
    await look(served)
    assert "drill flood running" in run(served, "list").output
    assert "drill flood aborted" in run(served, "abort", "plan-1", "--note", "not today").output
    assert "blocked" in str(run(served, "retry", "plan-1", "call").exception) or "aborted already" in str(
        run(served, "retry", "plan-1", "call").exception
    )
    assert "there is no plan" in str(run(served, "drill", "fire").exception)
    assert "there is no run" in str(run(served, "show", "plan-9").exception)
