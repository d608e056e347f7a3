"""Benchmarks: each starts, says what it does, has its row in the table, and judges its figures rightly."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _figures
from benchmarks._figures import Figure

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
WHOLE = ("alert_latency", "idle", "pages", "startup")  #: those that start the whole of Watchkeeper


def test_a_figure_over_its_bar_is_a_miss_and_one_at_it_is_not() -> None:
    assert [Figure("f", value, "s", 2.0).verdict for value in (1.9, 2.0, 2.1)] == ["met", "met", "MISSED"]
    assert Figure("f", 9.0, "s").verdict == ""
    assert Figure("f", math.nan, "s", 2.0).verdict == "MISSED"


@pytest.mark.parametrize(("part", "wanted"), [(0.5, 3.0), (0.95, 5.0), (1.0, 5.0), (0.2, 1.0)])
def test_quantiles_are_values_that_were_measured(part: float, wanted: float) -> None:
    assert _figures.quantile([5.0, 1.0, 4.0, 2.0, 3.0], part) == wanted
    assert math.isnan(_figures.quantile([], part))


def test_the_table_names_every_figure_its_bar_and_the_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_figures, "machine", lambda: "  machine: two cores")
    assert _figures.show("title", [Figure("page", 0.5, "s", 1.0), Figure("other", 7.0, "s")]) == 0
    assert _figures.show("title", [Figure("page", 1.5, "s", 1.0)]) == 1
    text = capsys.readouterr().out
    assert "bar 1 s" in text
    assert "MISSED" in text
    assert text.count("machine: two cores") == 2


def test_processor_time_and_memory_are_those_of_the_process() -> None:
    before = _figures.cpu_of(os.getpid())
    while _figures.cpu_of(os.getpid()) < before + 0.02:
        sum(range(10_000))
    assert _figures.cpu_seconds([os.getpid()]) >= before + 0.02
    assert 5e6 < _figures.pss_bytes(os.getpid()) < 5e9


def test_a_process_that_has_ended_counts_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert (_figures.cpu_of(process.pid), _figures.pss_bytes(process.pid)) == (0.0, 0)
    assert _figures.name_of(process.pid) == "ended"


@pytest.mark.parametrize("name", WHOLE)
def test_each_says_how_it_is_used_without_starting_anything(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    assert ended.value.code == 0
    assert f"python benchmarks/{name}.py" in capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_has_its_place_in_the_table_of_measured_figures(name: str) -> None:
    assert f"benchmarks/{name}.py" in (ROOT / "docs/performance.md").read_text(encoding="utf-8")
