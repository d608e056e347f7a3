"""``watchkeeper events gate``: what it says, how long it waits, and the exit code a pipeline goes by."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from watchkeeper.app import client
from watchkeeper.app.events_cli import app

CHECK = {
    "name": "errors",
    "verdict": "failed",
    "before": 0.01,
    "after": None,
    "allowed": 0.02,
    "reason": "too few requests",
}


class Engine:
    """Answers of the engine, one after the other; the last one stays."""

    def __init__(self) -> None:
        self.says: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.away = 0  #: questions that find nobody

    def get(self, path: str) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise client.ClientError("no engine is running")
        self.asked.append(path)
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


def verdict(word: str, *, final: bool = True, checks: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    about = {"service": "checkout", "version": "2.1", "environment": "PROD", "status": "watching"}
    return {**about, "verdict": word, "final": final, "checks": list(checks)}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(client.Client, "of", lambda _data: made)
    return made


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting moves the clock and takes no time."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + sum(naps))
    return naps


@pytest.mark.parametrize(("word", "code"), [("passed", 0), ("failed", 1), ("unknown", 3), ("", 3)])
def test_the_exit_code_is_the_verdict(engine: Engine, word: str, code: int) -> None:
    engine.says = [verdict(word)]
    done = CliRunner().invoke(app, ["gate", "checkout", "--environment", "PROD", "--version", "2.1", "--stage", "grey"])
    assert done.exit_code == code, done.output
    assert done.output.startswith(f"checkout 2.1 PROD: {word or 'watching'}\n")
    assert engine.asked == ["/api/wk/releases/gate?service=checkout&environment=PROD&version=2.1&stage=grey"]


def test_each_check_is_said_and_what_is_not_known_is_unknown(engine: Engine) -> None:
    engine.says = [verdict("failed", checks=(CHECK,))]
    said = CliRunner().invoke(app, ["gate", "checkout"]).output
    assert "  errors           failed   before 0.01, after unknown, allowed 0.02 (too few requests)\n" in said


def test_it_waits_for_the_verdict_and_no_longer(engine: Engine, slept: list[float]) -> None:
    engine.says = [verdict("", final=False), verdict("", final=False), verdict("passed")]
    done = CliRunner().invoke(app, ["gate", "checkout", "--wait", "15m"])
    assert (done.exit_code, slept, len(engine.asked)) == (0, [10.0, 10.0], 3)


def test_a_verdict_that_does_not_come_in_time_is_not_known(engine: Engine, slept: list[float]) -> None:
    engine.says = [verdict("", final=False)]
    done = CliRunner().invoke(app, ["gate", "checkout", "--wait", "25s"])
    assert (done.exit_code, slept, len(engine.asked)) == (3, [10.0, 10.0, 5.0], 4)


def test_without_waiting_it_asks_once(engine: Engine, slept: list[float]) -> None:
    engine.says = [verdict("passed", final=False)]
    assert CliRunner().invoke(app, ["gate", "checkout"]).exit_code == 0
    assert (slept, len(engine.asked)) == ([], 1)


def test_a_time_that_is_none_is_refused_with_its_option(engine: Engine) -> None:
    engine.says = [verdict("passed")]
    done = CliRunner().invoke(app, ["gate", "checkout", "--wait", "soon"])
    assert done.exit_code == 2
    assert "--wait" in done.output
    assert engine.asked == []


def test_an_engine_that_starts_anew_is_asked_again(engine: Engine, slept: list[float]) -> None:
    engine.says = [verdict("passed")]
    engine.away = 2
    done = CliRunner().invoke(app, ["gate", "checkout", "--wait", "1m"])
    assert (done.exit_code, len(slept)) == (0, 2)


def test_nobody_there_is_a_sentence_and_no_verdict(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["gate", "checkout", "--data", str(tmp_path)])
    assert done.exit_code == 3
    assert "no engine is running" in done.output
