"""A kind says what it takes: every option with its default and what it means."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from typer.testing import CliRunner

from collectors import BUILTIN
from watchkeeper.app.cli import app
from watchkeeper.app.kind_options import GIVEN, about, comments, options_of
from watchkeeper.app.sources import build_source
from watchkeeper.config import Config, Source
from watchkeeper.errors import ConfigError
from watchkeeper.registry import Registry


@pytest.mark.parametrize("kind", sorted(BUILTIN))
def test_every_option_of_every_kind_is_told_with_what_it_means(kind: str) -> None:
    part = BUILTIN[kind]
    told = {one.name: one for one in options_of(part)}
    fields = {one.name for one in dataclasses.fields(part) if one.init} - set(GIVEN)
    assert {name for name in told if "[]" not in name} == fields
    assert about(part)
    silent = [name for name in fields if not comments(part).get(name)]
    assert len(silent) <= len(fields) // 2, silent


def test_the_command_prints_defaults_and_options_within_lists() -> None:
    said = CliRunner().invoke(app, ["collectors", "options", "http_probe"]).output
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said.splitlines() if line.startswith("  ")}
    assert lines["steps"].startswith("required")
    assert "udp, tcp" in CliRunner().invoke(app, ["collectors", "options", "dns_probe"]).output
    assert lines["timeout"] == "10.0 seconds for one attempt"
    assert "steps[].expect_json" in lines
    wrong = CliRunner().invoke(app, ["collectors", "options", "httpprobe"])
    assert wrong.exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"server": "127.0.0.1", "querry": "a"}, "did you mean 'query'"),
        ({"address": "127.0.0.1:53", "query": "a"}, "`watchkeeper collectors options dns_probe` lists what it takes"),
    ],
)
def test_a_wrong_option_leads_to_those_there_are(options: Any, said: str) -> None:
    row = Source(kind="dns_probe", name="d", **options)
    with pytest.raises(ConfigError, match=said):
        build_source(row, Config(), Registry("collectors", BUILTIN))


@pytest.mark.parametrize(
    ("kind", "options", "place"),
    [
        ("dns_probe", {"server": "10.0.0.53", "query": "a"}, "10.0.0.53"),
        ("icmp_probe", {"host": "10.0.0.1"}, "10.0.0.1"),
        ("http_probe", {"steps": [{"name": "home", "url": "https://shop.example.com/"}]}, "https://shop.example.com/"),
        ("log_file", {"paths": ["/var/log/a.log"]}, "/var/log/a.log"),
    ],
)
def test_a_source_is_shown_with_what_it_asks(kind: str, options: Any, place: str) -> None:
    row = Source(kind=kind, name="a", **options)
    assert build_source(row, Config(), Registry("collectors", BUILTIN)).target == place
