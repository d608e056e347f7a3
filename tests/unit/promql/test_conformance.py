"""Prometheus's own conformance scripts, where the data folder is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watchkeeper.promql.conformance import run_files

pytestmark = pytest.mark.uncounted

#: What the engine reached when this line was last raised, per file; it must never fall.
PASSED = {
    "aggregators.test": 160,
    "collision.test": 2,
    "duration_expression.test": 59,
    "fill-modifier.test": 46,
    "functions.test": 431,
    "info.test": 53,
    "literals.test": 25,
    "native_histograms.test": 522,
    "range_queries.test": 18,
    "selectors.test": 31,
    "start_timestamps.test": 26,
}


@pytest.mark.data
def test_prometheus_conformance_scripts_pass() -> None:
    data = os.environ.get("WATCHKEEPER_TEST_DATA")
    if not data:
        pytest.skip("WATCHKEEPER_TEST_DATA names no folder with promql/*.test")
    paths = sorted((Path(data) / "promql").glob("*.test"))
    assert {path.name for path in paths} >= set(PASSED)
    report = run_files([path for path in paths if path.name in PASSED])
    assert report.failures == []
    assert {name: report.passed(name) for name in PASSED} == PASSED
    told = {line.partition(":")[0]: line.partition(": ")[2] for line in report.lines()}
    assert told["class native histogram"] == "866 passed, 0 failed, 0 skipped"
    assert told["class newer construct"] == "56 passed, 0 failed, 0 skipped"
