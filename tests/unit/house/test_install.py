"""The offline installer on a small bundle: checked, complete or not there, repeatable. And the systemd units."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
NOTES = ("systemd", "install.sh", "install.md", "watchkeeper.example.yaml")
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallFilter": "@system-service",
    "CapabilityBoundingSet": "",
    "UMask": "0077",
    "Restart": "on-failure",
    "StateDirectoryMode": "0700",
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small_wheel(folder: Path, version: str) -> Path:
    """A package named watchkeeper whose command says its version and nothing else."""
    path = folder / f"watchkeeper-{version}-py3-none-any.whl"
    info = f"watchkeeper-{version}.dist-info"
    files = {
        "small_watchkeeper.py": f"def main() -> None:\n    print({version!r})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: watchkeeper\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nwatchkeeper = small_watchkeeper:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path


def bundle(folder: Path, version: str = "1.0") -> Path:
    """What deploy/bundle.sh makes, with one small package instead of ninety."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not to be had on this platform, so there is no bundle for it")
    (folder / "wheels").mkdir(parents=True)
    with zipfile.ZipFile(folder / "wheels/uv-0-py3-none-any.whl", "w") as archive:
        archive.write(uv, "uv-0.data/scripts/uv")
    wheel = small_wheel(folder / "wheels", version)
    (folder / "requirements.lock").write_text(f"watchkeeper=={version} --hash=sha256:{digest(wheel)}\n")
    shutil.copytree(ROOT / "deploy/systemd", folder / "systemd")
    for name, source in zip(
        NOTES[1:], ("deploy/install.sh", "docs/install.md", "watchkeeper.example.yaml"), strict=True
    ):
        shutil.copy(ROOT / source, folder / name)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "BUNDLE").write_text(
        f"version={version}\npython={python}\nplatform={sysconfig.get_platform()}\nwheel={digest(wheel)}\n"
    )
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{digest(path)}  ./{path.relative_to(folder)}\n" for path in files))


def install(folder: Path, prefix: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / "install.sh"), str(prefix)],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def says(prefix: Path) -> str:
    done = subprocess.run([str(prefix / "bin/watchkeeper")], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_it_installs_repeats_itself_and_upgrades_leaving_a_way_back(tmp_path: Path) -> None:
    prefix = tmp_path / "opt/watch keeper"
    first = bundle(tmp_path / "first")
    done = install(first, prefix)
    assert done.returncode == 0, done.stderr
    assert says(prefix) == "1.0"
    (release,) = (prefix / "releases").iterdir()
    stamp = (release / ".complete").stat().st_mtime_ns

    assert install(first, prefix).returncode == 0
    assert [path.name for path in (prefix / "releases").iterdir()] == [release.name]
    assert (release / ".complete").stat().st_mtime_ns == stamp

    assert install(bundle(tmp_path / "second", "2.0"), prefix).returncode == 0
    assert says(prefix) == "2.0"
    assert release.exists()
    (prefix / "current").unlink()
    (prefix / "current").symlink_to(f"releases/{release.name}")
    assert says(prefix) == "1.0"


def test_units_name_the_folder_that_was_chosen(tmp_path: Path) -> None:
    prefix = tmp_path / "srv/wk"
    assert install(bundle(tmp_path / "bundle"), prefix).returncode == 0
    text = (prefix / "systemd/watchkeeper.service").read_text()
    assert f"ExecStart={prefix}/bin/watchkeeper up " in text
    assert "/opt/watchkeeper" not in text


def test_a_damaged_bundle_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    with (folder / "requirements.lock").open("a") as file:
        file.write("\n")
    done = install(folder, tmp_path / "opt")
    assert done.returncode == 1
    assert "the bundle is damaged" in done.stderr
    assert not (tmp_path / "opt").exists()


def test_a_wheel_that_is_not_the_locked_one_is_refused_and_the_running_release_stays(tmp_path: Path) -> None:
    prefix = tmp_path / "opt"
    assert install(bundle(tmp_path / "good"), prefix).returncode == 0
    folder = bundle(tmp_path / "bad", "2.0")
    (wheel,) = (folder / "wheels").glob("watchkeeper-*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("small_watchkeeper_extra.py", "surprise = True\n")
    seal(folder)  # whoever swapped the wheel could swap the sums: the lock's hash still differs
    done = install(folder, prefix)
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert says(prefix) == "1.0"
    assert list((prefix / "releases").glob("2.0-*/.complete")) == []


def test_another_python_is_refused_by_name(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    text = (folder / "BUNDLE").read_text()
    (folder / "BUNDLE").write_text(re.sub(r"python=.*", "python=3.99", text))
    seal(folder)
    done = install(folder, tmp_path / "opt")
    assert done.returncode == 1
    assert "for Python 3.99" in done.stderr
    assert not (tmp_path / "opt").exists()


def test_without_a_folder_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run([str(ROOT / "deploy/install.sh")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage: ./install.sh FOLDER" in done.stderr


def settings(unit: Path) -> dict[str, str]:
    rows = [line.partition("=") for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w+=", line)]
    return {key: value for key, _, value in rows}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_is_hardened_and_runs_a_command_that_exists(unit: Path) -> None:
    found = settings(unit)
    assert {key: found.get(key) for key in HARDENED} == HARDENED
    assert found["User"] == found["Group"] != "root"
    assert found["Environment"] == f"WATCHKEEPER_DATA=/var/lib/{found['StateDirectory']}"
    program, command, *rest = found["ExecStart"].split()
    assert program == "/opt/watchkeeper/bin/watchkeeper"
    assert rest[0] == "--config"
    part = unit.stem.removeprefix("watchkeeper").removeprefix("-") or "up"
    assert command == part
    from watchkeeper.app.cli import app

    assert command in {row.callback.__name__ for row in app.registered_commands if row.callback}


def test_the_dashboard_shares_neither_user_nor_data_with_the_engine() -> None:
    dashboard, engine = (
        settings(ROOT / f"deploy/systemd/watchkeeper-{name}.service") for name in ("dashboard", "engine")
    )
    assert dashboard["User"] != engine["User"]
    assert dashboard["StateDirectory"] != engine["StateDirectory"]


def test_the_page_names_every_unit_and_every_file_of_the_bundle() -> None:
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    assert [unit.stem for unit in UNITS if unit.stem not in text] == []
    made = (ROOT / "deploy/bundle.sh").read_text(encoding="utf-8")
    assert [name for name in NOTES if name not in made] == []
