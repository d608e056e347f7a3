"""One mistake a file, and the exact message: place, key, remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchkeeper.config import load
from watchkeeper.errors import ConfigError

BAD = Path(__file__).parents[2] / "config" / "bad"


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yaml")))
def test_a_bad_file_is_refused_with_place_and_remedy(name: str) -> None:
    file = BAD / f"{name}.yaml"
    wanted = (BAD / f"{name}.txt").read_text(encoding="utf-8").strip()
    with pytest.raises(ConfigError) as caught:
        load(file, environment={})
    assert str(caught.value) == wanted.format(file=file, folder=BAD)


def test_no_file_means_watch_this_host() -> None:
    config = load(None).config
    assert config.collect.host
    assert config.engine.listen == "127.0.0.1:9700"
    assert config.remediation == {}


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert load(tmp_path / "empty.yaml").config == load(None).config


def test_variables_and_secret_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "url.txt").write_text("sqlite:///x\n")
    file = tmp_path / "w.yaml"
    file.write_text("environment: ${WHERE}\nstore:\n  state:\n    url_file: url.txt\n")
    config = load(file, environment={"WHERE": "PROD"}).config
    assert config.environment == "PROD"
    assert config.store.state.url.get_secret_value() == "sqlite:///x"
    assert "sqlite" not in repr(config)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    (tmp_path / "gbk.yaml").write_bytes("language: 中文".encode("gbk"))
    with pytest.raises(ConfigError, match="not UTF-8 at byte 10"):
        load(tmp_path / "gbk.yaml")


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(tmp_path / "huge.yaml")


def test_values_keep_their_types(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("discover: off\nstore: {retention_bytes: 1000, retention: 36h}\nnotify: {digest_at: '07:15'}\n")
    config = load(file).config
    assert config.discover is False
    assert config.store.retention_bytes == 1000
    assert config.store.retention.total_seconds() == 36 * 3600
    assert config.notify.digest_at.minute == 15


@pytest.mark.parametrize("piece", ["[", "{a: ", "? ", "- "])
def test_a_file_nested_without_end_is_refused_before_it_ends_the_process(tmp_path: Path, piece: str) -> None:
    (tmp_path / "deep.yaml").write_text(piece * 200_000)
    with pytest.raises(ConfigError, match="nests too deep"):
        load(tmp_path / "deep.yaml")


@pytest.mark.parametrize("number", ["0x" + "f" * 10_000, "-0b" + "1" * 70, "1" + ":59" * 3000])
def test_a_number_too_long_to_print_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "long.yaml").write_text(f"environment: {number}")
    with pytest.raises(ConfigError, match="environment: is too large a number"):
        load(tmp_path / "long.yaml")
