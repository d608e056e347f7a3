"""Reload by signal, on real processes: good is taken over, bad changes nothing and is said, SIGTERM stops."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.kept import Kept, kept_for
from support.up import Up, running

from watchkeeper.app.paths import DataDir

RULES = """groups:
  - name: own
    interval: 1s
    rules:
      - alert: {name}
        expr: vector(1) > 0
        labels: {{severity: P3, service: shop}}
"""

#: One estate for all tests, on each store.
kept = kept_for("module")


@pytest.fixture(scope="module")
def up(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("reload")
    (folder / "rules").mkdir()
    (folder / "rules" / "own.yaml").write_text(RULES.format(name="First"))
    quiet: dict[str, Any] = {
        "collect": {"host": False, "own_logs": False},
        "rules": {"packs": ["self"], "directories": ["rules"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
    }
    with running(folder, **quiet) as found:
        found.sign_in()
        yield found


def engine_pid(up: Up) -> int:
    """Process number of the engine that is ready, as it wrote it itself."""
    return int(json.loads(DataDir(up.data).engine_ready.read_text())["pid"])


def alerts(up: Up) -> set[str]:
    return {rule["name"] for group in up.ask("GET", "/api/wk/rules")["groups"] for rule in group["rules"]}


def status(up: Up) -> dict[str, Any]:
    found: dict[str, Any] = up.ask("GET", "/api/wk/status")["reload"]
    return found


def counted(up: Up, outcome: str) -> float:
    request = urllib.request.Request(f"{up.engine}/metrics", headers={"Authorization": f"Session {up.session}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        text = response.read().decode()
    wanted = f'watchkeeper_config_reloads_total{{outcome="{outcome}"}} '
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(wanted)), 0.0)


@pytest.mark.parametrize("to", ["engine", "parent"])
def test_a_hangup_takes_over_what_is_good_and_keeps_the_last_good_when_it_is_not(up: Up, to: str) -> None:
    engine = engine_pid(up)
    target = engine if to == "engine" else up.process.pid
    rules, good, refused = up.folder / "rules" / "own.yaml", counted(up, "ok"), counted(up, "refused")

    rules.write_text(RULES.format(name=f"Good{to}"))
    os.kill(target, signal.SIGHUP)
    up.until("the new rule", lambda: f"Good{to}" in alerts(up), 20)
    assert "First" not in alerts(up)
    assert status(up)["error"] == ""
    up.until("the count", lambda: counted(up, "ok") == good + 1, 10)

    rules.write_text(RULES.format(name="Bad").replace("vector(1) > 0", "vector(1 > "))
    os.kill(target, signal.SIGHUP)
    error = up.until("the refusal in the status", lambda: status(up)["error"], 20)
    assert "own.yaml:6" in error, error
    assert "expr" in error, error
    assert f"Good{to}" in alerts(up)
    assert "Bad" not in alerts(up)
    up.until("the count", lambda: counted(up, "refused") == refused + 1, 10)
    assert json.dumps(error) in (up.data / "log" / "engine.log").read_text()

    rules.write_text(RULES.format(name="Mended"))
    os.kill(target, signal.SIGHUP)
    up.until("the mended rule", lambda: "Mended" in alerts(up), 20)
    up.until("the error to be gone", lambda: status(up)["error"] == "", 20)
    assert engine_pid(up) == engine, "the engine was started anew instead of reloading"


def test_a_mistake_in_watchkeeper_yaml_names_file_line_and_key_and_is_a_series(up: Up) -> None:
    file = up.folder / "watchkeeper.yaml"
    before = file.read_text()
    line = len(before.splitlines()) + 2
    file.write_text(before + "notify:\n  chanels: []\n")
    os.kill(up.process.pid, signal.SIGHUP)
    error = up.until("the refusal in the status", lambda: status(up)["error"], 20)
    assert f"watchkeeper.yaml:{line}" in error, error
    assert "chanels" in error

    def said() -> bool:
        rows = up.ask("GET", "/api/v1/query?query=watchkeeper_config_last_reload_successful")["data"]["result"]
        return bool(rows) and rows[0]["value"][1] == "0"

    up.until("a series for the alert to see", said, 40)
    file.write_text(before)
    os.kill(up.process.pid, signal.SIGHUP)
    up.until("the error to be gone", lambda: status(up)["error"] == "", 20)
    assert yaml.safe_load(file.read_text())["data"] == up.config["data"]


def test_a_hangup_before_the_engine_is_ready_is_kept_and_nothing_dies(tmp_path: Path) -> None:
    with running(tmp_path, collect={"host": False, "own_logs": False}, rules={"packs": []}) as up:
        engine = engine_pid(up)
        os.kill(engine, signal.SIGKILL)
        up.until("the engine is gone", lambda: not Path(f"/proc/{engine}").exists(), 10)
        os.kill(up.process.pid, signal.SIGHUP)
        (up.data / "log" / "engine.log").write_text("")
        up.until("the next engine reloads", lambda: '"reloaded"' in (up.data / "log" / "engine.log").read_text(), 40)
        assert up.process.poll() is None


def test_terminate_is_a_clean_stop_even_after_a_hangup(tmp_path: Path) -> None:
    with running(tmp_path, collect={"host": False, "own_logs": False}, rules={"packs": []}) as up:
        pids = up.pids()
        os.kill(up.process.pid, signal.SIGHUP)
        os.kill(up.process.pid, signal.SIGTERM)
        assert up.process.wait(30) == 0
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
