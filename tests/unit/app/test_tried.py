"""``collectors try`` says what to look at where a source was read and is not well."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.targets import answer, target
from typer.testing import CliRunner

import collectors
from watchkeeper.app.erasing import OTHER, WHY
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.services_cli import collectors_app
from watchkeeper.app.tried import PROBES, REMEDIES, advice, condition
from watchkeeper.model import labels
from watchkeeper.reasons import told

PROBE_FILES = Path(collectors.__file__).parent
Anything: Any = type("Anything", (), {})


def tried(folder: Path, source: str) -> str:
    file = folder / "watchkeeper.yaml"
    file.write_text(f"discover: off\ncollect: {{host: off, sources: [{source}]}}\n")
    found = CliRunner().invoke(collectors_app, ["try", "it", "--config", str(file)])
    assert found.exit_code == 0, found.output
    return found.output


async def test_a_probe_that_fails_says_where_and_why(tmp_path: Path) -> None:
    async with target(health=answer(b'{"status": "down"}')) as server:
        steps = f'[{{name: health, url: "{server.url("/health")}", expect_json: {{status: ok}}}}]'
        said = await asyncio.to_thread(tried, tmp_path, f"{{kind: http_probe, name: it, steps: {steps}}}")
    assert "the probe failed at step health (json); it answered, and a value in its JSON is not the" in said


async def test_a_metric_whose_path_leads_nowhere_is_told(tmp_path: Path) -> None:
    async with target(it=answer(b'{"a": 1, "b": "x"}')) as server:
        metrics = "[{name: a, path: a}, {name: b, path: b}, {name: c, path: c.d}]"
        row = f'{{kind: json_http, name: it, url: "{server.url("/it")}", metrics: {metrics}}}'
        said = await asyncio.to_thread(tried, tmp_path, row)
    assert "not answered: b: what stands at b is no number: 'x'" in said
    assert "not answered: c: nothing stands at c.d" in said


def test_a_source_that_was_read_and_whose_target_fails_is_not_called_up() -> None:
    source = Source("it", "tcp_probe", timedelta(seconds=5), Anything(), {}, state="up", reached=False)
    assert condition(source) == ("target_failing", [])
    source.failure = labels("probe_failure_info", reason="connect")
    how, (note,) = condition(source)
    assert (how, note.partition(";")[0]) == ("target_failing", "the probe failed (connect)")
    source.reached = True
    assert condition(source) == ("up", [])
    source.collector.problems = {"sizes": "permission denied"}  # type: ignore[attr-defined]
    assert condition(source) == ("incomplete", ["not answered: sizes: permission denied"])
    source.state, source.error = "failing", "connect: refused"
    assert condition(source) == ("failing", ["connect: refused"])


def test_patterns_that_match_no_file_are_told(tmp_path: Path) -> None:
    said = tried(tmp_path, f'{{kind: log_file, name: it, paths: ["{tmp_path}/none-*.log"]}}')
    assert "no file was found: do the patterns in paths match" in said
    (tmp_path / "none-1.log").write_text("a\n")
    assert "no file" not in tried(tmp_path, f'{{kind: log_file, name: it, paths: ["{tmp_path}/none-*.log"]}}')


def test_ignored_files_and_unknown_reasons_are_told_too() -> None:
    rows = [
        (labels("watchkeeper_log_files_ignored", job="it"), 3.0),
        (labels("probe_failure_info", reason="strange"), 1.0),
        (labels("probe_success"), 0.0),
    ]
    assert list(advice(rows)) == [
        "3 files are ignored: raise max_files, or name fewer in paths",
        "the probe failed (strange)",
    ]


@pytest.mark.parametrize("file", [*sorted(PROBE_FILES.glob("*_probe.py")), PROBE_FILES / "http_steps.py"])
def test_every_reason_of_a_probe_has_its_advice(file: Path) -> None:
    reasons = set(re.findall(r'(?:failed\(\s*|return |return "", )"([a-z_]+)"', file.read_text()))
    assert reasons <= {*PROBES, *REMEDIES}


def test_the_command_line_says_the_same_in_chinese(tmp_path: Path) -> None:
    file = tmp_path / "watchkeeper.yaml"
    sources = (
        '{kind: redis, name: it, address: "127.0.0.1:1"}, {kind: log_file, name: files, paths: ["/no/such/*.log"]}'
    )
    file.write_text(f"discover: off\ncollect: {{host: off, sources: [{sources}]}}\n")

    def said(name: str) -> str:
        return CliRunner().invoke(collectors_app, ["try", name, "--config", str(file), "--language", "zh-CN"]).output

    assert said("it").startswith("失败（connect）：")
    assert "建议：目标是否在运行并监听该地址和端口？" in said("it")
    assert "没有找到文件" in said("files")
    assert "行日志，读取" in said("files")
    assert said("none").startswith("没有名为 'none' 的来源；现有：it, files")


@pytest.mark.parametrize("text", [*REMEDIES.values(), *PROBES.values(), *WHY.values(), OTHER])
def test_every_advice_and_what_stays_of_a_person_reads_in_chinese(text: str) -> None:
    assert re.search(r"[一-鿿]", told(text, "zh-CN"))
    assert told(text, "en") == text
