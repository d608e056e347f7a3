"""What the project depends on, how it is locked, and what starting the command costs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

#: Package -> (import name, where it does its work).
CARD = {
    "prometheus-client": ("prometheus_client", ("watchkeeper/telemetry.py", "collectors")),
    "numpy": ("numpy", ("watchkeeper/model/series.py",)),
    "pandas": ("pandas", ("collectors/sql_query.py",)),
    "scikit-learn": ("sklearn", ("detectors/isolation_forest.py",)),
    "statsmodels": ("statsmodels", ("forecasting", "detectors/stl_residual.py")),
    "threadpoolctl": ("threadpoolctl", ("detectors/one_thread.py",)),
    "APScheduler": ("apscheduler", ("watchkeeper/app/schedule.py",)),
    "SQLAlchemy": ("sqlalchemy", ("watchkeeper/store/state/tables.py", "collectors/sql_query.py")),
    "plotly": ("plotly", ("dashboard/figures.py",)),
    "dash": ("dash", ("dashboard/lean.py", "dashboard/pages")),
}
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
HEAVY = ("numpy", "pandas", "sklearn", "statsmodels", "scipy", "dash", "plotly", "fastapi", "sqlalchemy", "pyarrow")


def requirement_names(rows: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", row, maxsplit=1)[0] for row in rows}


@pytest.mark.parametrize("package", sorted(CARD))
def test_each_package_of_the_card_is_a_direct_dependency_and_works_where_it_belongs(package: str) -> None:
    assert package in requirement_names(PROJECT["project"]["dependencies"])
    module, places = CARD[package]
    for place in places:
        found = ROOT / place
        files = [found] if found.is_file() else sorted(found.rglob("*.py"))
        pattern = re.compile(rf"^\s*(import {module}\b|from {module}\b)", re.MULTILINE)
        assert any(pattern.search(file.read_text(encoding="utf-8")) for file in files), place


def test_pytest_is_a_direct_dependency_of_the_tests() -> None:
    assert "pytest" in requirement_names(PROJECT["dependency-groups"]["dev"])


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_hashed_and_name_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links", text)
    pins = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert pins
    for line in pins:
        assert re.match(r"[A-Za-z0-9_.\[\]-]+==\S+( ;.*)? \\$", line), line
    assert text.count("--hash=sha256:") >= len(pins)


def test_the_build_backend_is_in_the_lock() -> None:
    wanted = PROJECT["build-system"]["requires"][0]
    assert f"\n{wanted} " in "\n" + (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["explain", "--help"], ["query", "--help"]])
def test_the_fast_paths_of_the_command_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from watchkeeper.app.cli import app\n"
        f"try: app({arguments!r}, standalone_mode=False)\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stdout
