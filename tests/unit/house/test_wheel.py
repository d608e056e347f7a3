"""The wheel: everything that the tree's packages hold is inside, and it runs where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
#: One data file of every kind that code reads at run time.
DATA = (
    "dashboard/assets/style.css",
    "dashboard/locales/zh-CN.json",
    "dashboard/templates/login.html",
    "notifiers/codes.json",
    "notifiers/locales/en.json",
    "rules/locales/zh-CN.json",
    "rules/packs/default.yaml",
    "watchkeeper/access/common_passwords.txt",
    "watchkeeper/store/state/migrations/env.py",
    "watchkeeper/store/state/migrations/versions/r0001_first.py",
)
#: What the parts need of their files: the schema is made, pages and messages have their words.
PROBE = """
import importlib, sys
from pathlib import Path
import watchkeeper
print(Path(watchkeeper.__file__).parents[1])
for room in sys.argv[2:]:
    importlib.import_module(room)
from dashboard.app import create
from dashboard.settings import Settings
create(Settings(engine_url="http://127.0.0.1:1"))
from notifiers.render import Renderer
from watchkeeper.store.state import State, sqlite_url
from watchkeeper.store.state.migrations import migrate
state = State(sqlite_url(Path(sys.argv[1]) / "state.sqlite"))
migrate(state)
state.close()
print("whole")
"""


@dataclass(frozen=True)
class Installed:
    """The wheel, unpacked into an environment of its own that borrows the dependencies."""

    wheel: Path
    python: Path
    site: Path
    home: Path

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": os.defpath, "HOME": str(self.home), "LANG": "C.UTF-8", **(environment or {})}
        return subprocess.run(
            [str(self.python), "-I", *arguments], cwd=self.home, env=clean, capture_output=True, text=True, timeout=60
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "venv" / "lib" / version / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A path in a .pth file is searched, but the .pth files in it are not read: so this checkout stays unknown.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    home = folder / "home"
    home.mkdir()
    return Installed(wheel, folder / "venv" / "bin" / "python", site, home)


def files_of(package: str) -> set[str]:
    """Every file of a package in the tree, as the wheel would name it."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_in_the_wheel_byte_for_byte(package: str, installed: Installed) -> None:
    wanted = files_of(package)
    assert f"{package}/__init__.py" in wanted
    with zipfile.ZipFile(installed.wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith(f"{package}/")}
        assert inside == wanted
        assert [name for name in sorted(wanted) if archive.read(name) != (ROOT / name).read_bytes()] == []


def test_nothing_else_is_in_the_wheel(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {*PACKAGES, f"watchkeeper-{PROJECT['project']['version']}.dist-info"}


@pytest.mark.parametrize("name", DATA)
def test_data_files_come_along(name: str, installed: Installed) -> None:
    assert (installed.site / name).stat().st_size > 0


def test_the_command_is_declared(installed: Installed) -> None:
    (declared,) = installed.site.glob("watchkeeper-*.dist-info/entry_points.txt")
    assert "watchkeeper = watchkeeper.app.cli:main" in declared.read_text(encoding="utf-8")


def test_it_says_its_version_outside_the_checkout(installed: Installed) -> None:
    done = installed.run("-m", "watchkeeper", "version")
    assert (done.returncode, done.stdout.strip()) == (0, PROJECT["project"]["version"]), done.stderr


def test_it_checks_a_configuration_outside_the_checkout(installed: Installed) -> None:
    file = installed.home / "mine.yaml"
    file.write_text("collect: {host: false}\nrules: {packs: [signals, host, default, self]}\n")
    data = installed.home / "data"
    done = installed.run(
        "-m", "watchkeeper", "check-config", "-c", str(file), environment={"WATCHKEEPER_DATA": str(data)}
    )
    assert done.returncode == 0, done.stderr
    assert f"data: {data}" in done.stdout
    file.write_text("collect: {hots: false}\n")
    done = installed.run("-m", "watchkeeper", "check-config", "-c", str(file))
    assert done.returncode == 1
    assert "hots" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_room_finds_its_files_outside_the_checkout(installed: Installed) -> None:
    done = installed.run("-c", PROBE, str(installed.home), *PACKAGES)
    assert done.stdout.splitlines() == [str(installed.site), "whole"], done.stderr
