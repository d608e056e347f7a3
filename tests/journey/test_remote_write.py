"""A real Prometheus writes to a real engine: what one has the other has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.remote_peer import query_differences, raw_differences, run, writing

pytestmark = pytest.mark.servers


def test_what_prometheus_writes_is_what_we_have(tmp_path: Path) -> None:
    with writing(tmp_path) as found:
        began, end = run(found, 12)
        assert raw_differences(found, began, end, 100, seed=1) == []
        assert query_differences(found, began, end) == []


@pytest.mark.long
def test_ten_minutes_of_a_real_prometheus_without_a_difference(tmp_path: Path) -> None:
    seconds = min(600.0, float(os.environ.get("LONG_SECONDS", "3600")) / 2)
    with writing(tmp_path) as found:
        began, end = run(found, seconds)
        assert raw_differences(found, began, end, 1000, seed=2) == []
        assert query_differences(found, began, end) == []
