"""The two commands that do everything, and what they say when the host lacks something."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TARGETS = ("setup", "up", "demo", "test", "test-long", "bench", "lint", "bundle", "servers")
INSTALL_LINE = "sudo apt-get install -y make python3 python3-venv"
#: Hosts of package registries, in two halves so that this file names none.
REGISTRIES = (
    ("pypi", ".org"),
    ("python", "hosted.org"),
    ("registry.npm", "js.org"),
    ("mirrors.ali", "yun.com"),
    ("tuna.tsinghua", ".edu"),
    ("registry.npm", "mirror"),
    ("docker", ".io/"),
    ("proxy.go", "lang.org"),
    ("conda.ana", "conda.org"),
)


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def tracked() -> list[Path]:
    """Files of the project; outside a clone everything that is not a by-product."""
    listed = run("git", "ls-files", "-z")
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    skip = {".venv", ".servers", ".git", "dist", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not skip & set(path.parts)]


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_exists_and_help_lists_it(target: str) -> None:
    assert run("make", "-n", target).returncode == 0
    assert re.search(rf"^{target} {{2,}}\S", run("make", "help").stdout, re.MULTILINE)


def test_a_target_that_does_not_exist_is_an_error() -> None:
    assert run("make", "-n", "no-such-target").returncode == 2


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("deploy/*.sh")), ROOT / ".ci/run", ROOT / "tests/servers/install.sh", ROOT / "tests/run.sh"],
)
def test_scripts_are_executable_and_well_formed(path: Path) -> None:
    assert os.access(path, os.X_OK)
    assert run("bash", "-n", str(path)).stderr == ""
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")


def test_every_script_that_make_calls_is_there() -> None:
    called = re.findall(r"bash ((?:deploy|tests)/\S+\.sh)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert len(called) >= 4
    assert [name for name in called if not (ROOT / name).is_file()] == []


def ci(tmp_path: Path, data: Path) -> subprocess.CompletedProcess[str]:
    script(tmp_path / "bin/make", 'echo "make $* CI=$CI data=$WATCHKEEPER_TEST_DATA cwd=$PWD"')
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return run(str(ROOT / ".ci/run"), cwd=tmp_path, PATH=path, WATCHKEEPER_TEST_DATA=str(data))


def test_ci_runs_make_test_with_the_shared_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert ci(tmp_path, data).stdout.splitlines()[-1] == f"make test CI=true data={data} cwd={ROOT}"


def test_ci_without_the_shared_data_fails_before_anything_runs(tmp_path: Path) -> None:
    done = ci(tmp_path, tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / "nowhere") in done.stderr


def set_up(tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
    return run("bash", str(ROOT / "deploy/setup.sh"), "requirements.lock", cwd=tmp_path, PYTHON=python)


def test_a_host_without_the_venv_module_is_told_the_exact_line(tmp_path: Path) -> None:
    python = script(tmp_path / "python3", 'case "$*" in *ensurepip*) exit 1;; *version_info*) exit 0;; esac; exit 9')
    done = set_up(tmp_path, str(python))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"Python's venv module is missing. Run: {INSTALL_LINE}"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["python3"]


def test_an_old_python_is_named_with_its_version(tmp_path: Path) -> None:
    python = script(
        tmp_path / "python3", 'case "$*" in *version_info*) exit 1;; -V) echo "Python 3.9.2"; exit 0;; esac; exit 9'
    )
    done = set_up(tmp_path, str(python))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "3.11 or newer" in line
    assert f"{python} is 3.9.2" in line


def test_a_host_without_python_is_told_the_exact_line(tmp_path: Path) -> None:
    done = set_up(tmp_path, str(tmp_path / "absent"))
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"Run: {INSTALL_LINE}")


def test_the_list_of_servers_is_well_formed() -> None:
    text = (ROOT / "tests/servers/packages.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert rows
    for row in rows:
        assert len(row) == 3, row
        package, oldest, program = row
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package), row
        assert re.fullmatch(r"(\d+:)?\d[0-9A-Za-z.+~-]*", oldest), row
        assert program == "-" or program.startswith("/usr/"), row
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("halves", REGISTRIES, ids=lambda halves: halves[0].replace(".", "-"))
def test_no_file_names_a_registry(halves: tuple[str, str]) -> None:
    host = "".join(halves).encode()
    assert [str(path.relative_to(ROOT)) for path in tracked() if host in path.read_bytes()] == []
