"""`watchkeeper logs templates`: the kinds of lines of a file."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner

from watchkeeper.app.cli import app

LINES = [
    b"Found child 6725 in slot 10",
    b"Found child 1 in slot 2",
    b"",
    b'caf\xe9 said "no", twice',
    b"Found child 3 in slot 4\r",
]


def test_every_line_gets_its_template_in_order_and_the_frequent_ones_are_printed_first(tmp_path: Path) -> None:
    source, out = tmp_path / "app.log", tmp_path / "out.csv"
    source.write_bytes(b"\n".join(LINES))
    written = CliRunner().invoke(app, ["logs", "templates", str(source), "--out", str(out)])
    assert written.exit_code == 0
    with out.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["template"] for row in rows] == [
        "Found child <*> in slot <*>",
        "Found child <*> in slot <*>",
        "",
        'caf\udce9 said "no", twice',
        "Found child <*> in slot <*>",
    ]
    assert rows[0]["event_id"] == rows[1]["event_id"] == rows[4]["event_id"] != rows[3]["event_id"]
    printed = CliRunner().invoke(app, ["logs", "templates", str(source), "--limit", "1"])
    assert printed.stdout.split()[0] == "3"
    assert printed.stdout.strip().endswith("Found child <*> in slot <*>")
