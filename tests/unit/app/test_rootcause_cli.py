"""`watchkeeper rootcause`: from files."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchkeeper.app.cli import app

NORMAL = "time,shop|latency,database|latency\n" + "".join(
    f"{t},{0.2 + t % 5 / 100},{0.02 + t % 3 / 1000}\n" for t in range(60)
)
INCIDENT = "time,shop|latency,database|latency\n60,0.2,0.02\n61,0.9,0.7\n62,0.9,x\n"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    texts = {"normal.csv": NORMAL, "incident.csv": INCIDENT, "graph.csv": "caller,called\nshop,database\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return [str(tmp_path / name) for name in texts]


def test_candidates_are_told_with_their_evidence(files: list[str]) -> None:
    answer = CliRunner().invoke(app, ["rootcause", files[0], files[1], "--graph", files[2]])
    assert answer.exit_code == 0
    first, evidence, second, *_ = answer.stdout.splitlines()
    assert first.startswith("1. database")
    assert "suffers too: shop" in first
    assert evidence.strip().startswith("latency rose from 0.021 to 0.7")
    assert "explained by database" in second


def test_a_wrong_table_is_told_by_name(files: list[str]) -> None:
    answer = CliRunner().invoke(app, ["rootcause", files[2], files[1]])
    assert answer.exit_code == 2
    assert "no column named node|metric" in " ".join(answer.output.split())
