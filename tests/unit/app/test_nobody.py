"""An ordinary user: what it may not read or write is one sentence with the place, and never a crash."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.privileges import forbidden, nobody

from collectors.discover import discover_logs
from watchkeeper.app.cli import main
from watchkeeper.app.doctor import examine
from watchkeeper.app.paths import DataDir
from watchkeeper.config import default_path
from watchkeeper.errors import ConfigError


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    with forbidden(tmp_path / "closed") as folder, nobody():
        yield folder


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    monkeypatch.setattr(sys, "argv", ["watchkeeper", *argv])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_logs_in_a_folder_that_is_closed_are_not_offered(closed: Path) -> None:
    assert discover_logs([str(closed / "redis-server.log")]) == []


def test_a_data_folder_that_cannot_be_made_is_named_with_its_key(closed: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"^data: {closed}/data cannot be used by this user: Permission denied; name"
    ):
        DataDir(closed / "data").create()
    with pytest.raises(ConfigError, match=r"^data: .* cannot be used by this user"):
        DataDir(closed / "data").lock("up")


def test_doctor_says_so_too(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHKEEPER_DATA", str(closed / "data"))
    found = {finding.name: finding for finding in examine(None)}
    assert not found["data directory"].ok
    assert "cannot be written by this user" in found["data directory"].detail


def test_a_current_folder_that_is_closed_is_no_reason_to_ignore_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with forbidden(tmp_path / "closed") as folder:
        monkeypatch.chdir(folder)
        with nobody(), pytest.raises(ConfigError, match=r"watchkeeper.yaml: the current folder cannot be looked into"):
            default_path()


def test_a_file_that_cannot_be_written_is_one_sentence(
    closed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = closed / "w.yaml"
    (line,) = said(monkeypatch, capsys, "init", "--no-ask", "-o", str(file)).splitlines()
    assert line == f"watchkeeper: {file}: Permission denied; mend that, or name another file or folder"


def test_a_folder_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "absent" / "w.yaml"
    (line,) = said(monkeypatch, capsys, "init", "--no-ask", "-o", str(file)).splitlines()
    assert line == f"watchkeeper: {file}: No such file or directory; mend that, or name another file or folder"


def test_up_with_such_a_data_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    file = tmp_path / "w.yaml"
    file.write_text(yaml.safe_dump({"data": str(tmp_path / "file" / "data")}))
    monkeypatch.setattr("watchkeeper.app.up.die_with_parent", lambda: None)
    (line,) = said(monkeypatch, capsys, "up", "--config", str(file)).splitlines()
    assert "file/data cannot be used by this user: Not a directory" in line
