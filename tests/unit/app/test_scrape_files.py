"""Configurations of Prometheus, read as they stand; and what the import says of them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from watchkeeper.app.config_cli import import_file
from watchkeeper.app.scrape_files import scrapes
from watchkeeper.config import load
from watchkeeper.errors import ConfigError

PROMETHEUS = r"""
global: {scrape_interval: 30s, scrape_timeout: 20s, evaluation_interval: 30s, external_labels: {a: b}}
rule_files: [x.yml]
scrape_configs:
  - job_name: node
    scrape_interval: 5s
    static_configs: [{targets: ['127.0.0.1:9100']}]
    relabel_configs:
      - {source_labels: [__address__], regex: '(?P<host>.+):\d+', target_label: host, replacement: '${host}'}
  - job_name: files
    sample_limit: 7
    enable_http2: true
    consul_sd_configs: [{server: x}]
    file_sd_configs: [{files: ['t/*.json']}]
  - job_name: secure
    tls_config: {insecure_skip_verify: true}
  - job_name: broken
    relabel_configs: [{action: nope}]
"""


def test_the_import_says_of_every_key_what_becomes_of_it(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS)
    said: list[str] = []
    assert import_file(tmp_path / "prometheus.yml", tmp_path / "scrape.yml", said.append) == 1
    for line in (
        "taken       node: scrape_interval, static_configs, relabel_configs",
        "refused     files: enable_http2: not offered",
        "refused     files: consul_sd_configs: not offered",
        "taken       files: sample_limit, file_sd_configs",
        "refused     secure: tls_config: insecure_skip_verify is not offered: name the server's authority as ca_file",
        "translated  global.scrape_interval: written into each scrape configuration",
        "refused     global.external_labels: write it as `rules.external_labels`",
    ):
        assert line in said
    assert any(line.startswith("translated  files: sample_limit: known series stay") for line in said)
    assert any(line.startswith("refused     broken: relabel_configs[0].action: input should be") for line in said)
    assert any(line.startswith("refused     rule_files: use `watchkeeper rules import`") for line in said)


def test_what_was_imported_is_read_by_the_engine(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS)
    import_file(tmp_path / "prometheus.yml", tmp_path / "scrape.yml", lambda _line: None)
    (tmp_path / "watchkeeper.yaml").write_text("collect: {scrape_config_files: [scrape.yml]}\n")
    found = scrapes(load(tmp_path / "watchkeeper.yaml"))
    assert [one.config.job_name for one in found] == ["node", "files"]
    node, files = (one.config for one in found)
    assert (node.interval, node.timeout) == (timedelta(seconds=5), timedelta(seconds=5))
    assert (files.interval, files.timeout) == (timedelta(seconds=30), timedelta(seconds=20))
    assert node.relabel_configs[0].replacement == "${host}", "no variable of the environment"
    assert found[0].base == tmp_path


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS)
    (tmp_path / "scrape.yml").write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        import_file(tmp_path / "prometheus.yml", tmp_path / "scrape.yml", lambda _line: None)
    assert (tmp_path / "scrape.yml").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scrape_configs: {a: b}", r"p\.yml:1: scrape_configs: must be a list"),
        ("scrape_configs: [5]", r"scrape_configs\[0\]: must be a mapping"),
        ("scrape_configs:\n - job_name: a\n   relabel_config: []", r"p\.yml:3: .*did you mean 'relabel_configs'"),
        ("scrape_configs:\n - job_name: a\n - job_name: a", r"p\.yml:3: .*two scrape configurations are called 'a'"),
        ("scrape_configs:\n - job_name: a\n   scrape_interval: 5", r"p\.yml:3: .*duration"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "p.yml").write_text(text)
    (tmp_path / "watchkeeper.yaml").write_text("collect: {scrape_config_files: [p.yml]}\n")
    with pytest.raises(ConfigError) as failure:
        scrapes(load(tmp_path / "watchkeeper.yaml"))
    assert re.search(why, str(failure.value)), str(failure.value)
