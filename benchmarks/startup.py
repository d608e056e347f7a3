"""How long a newcomer waits: from the command to the sign-in page and to live charts.

    python benchmarks/startup.py [--runs 3]      installed, a fresh data folder each time; medians
    python benchmarks/startup.py --make          `make up` in a fresh clone, caches warm, once

Live means that the Overview has a value and a point for CPU usage, asked of the API that the page asks; a line needs
two points and is a figure of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import yaml  # noqa: E402
from support.up import Up, base_config, running  # noqa: E402

from benchmarks._figures import Figure, median, show  # noqa: E402

SIGN_IN_BAR, LIVE_BAR, MAKE_BAR = 6.0, 10.0, 60.0  #: seconds
#: Points that make a line.
LINE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="starts of the installed command")
    parser.add_argument("--make", action="store_true", help="`make up` in a fresh clone instead")
    options = parser.parse_args(arguments)
    if options.make:
        return show("make up: fresh clone, warm caches", from_clone())
    return show(f"startup: medians of {options.runs} runs", installed(options.runs))


def installed(runs: int) -> list[Figure]:
    marks: list[dict[str, float]] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as up:
            look(up)
            marks.append(dict(up.marks))
    values = {name: [mark[name] for mark in marks] for name in marks[0]}
    return [
        Figure("engine answers", median(values["engine"]), "s"),
        Figure("sign-in page", median(values["sign-in page"]), "s", SIGN_IN_BAR),
        Figure("live charts", median(values["live charts"]), "s", LIVE_BAR),
        Figure("live charts, slowest", max(values["live charts"]), "s"),
        Figure("two points, so that there is a line", median(values["line"]), "s"),
    ]


def from_clone() -> list[Figure]:
    """The clone holds what is committed; the time includes making .venv from the lock."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(clone)], check=True)
        config = base_config(folder)
        (folder / "watchkeeper.yaml").write_text(yaml.safe_dump(config))
        environment = {**os.environ, "WATCHKEEPER_CONFIG": str(folder / "watchkeeper.yaml")}
        started = time.monotonic()
        with (folder / "up.out").open("wb") as out:
            process = subprocess.Popen(
                ["make", "-C", str(clone), "up"], stdout=out, stderr=out, env=environment, start_new_session=True
            )
        up = Up(folder, config, process, started)
        try:
            up.wait("engine", f"{up.engine}/-/ready", 4 * MAKE_BAR)
            look(up)
        finally:
            up.stop()
    return [
        Figure("sign-in page", up.marks["sign-in page"], "s"),
        Figure("first useful screen: live charts", up.marks["live charts"], "s", MAKE_BAR),
        Figure("two points, so that there is a line", up.marks["line"], "s"),
    ]


def look(up: Up) -> None:
    """What a newcomer does: open the page, make the account, watch for the first line."""
    up.wait("sign-in page", f"{up.dashboard}/login")
    up.sign_in()
    up.until("live charts", lambda: drawn(up.ask("GET", "/api/wk/overview")) >= 1)
    up.until("line", lambda: drawn(up.ask("GET", "/api/wk/overview")) >= LINE, seconds=120)


def drawn(overview: Any) -> int:
    """Points of CPU usage on the Overview; 0 while it has no value."""
    signal = next(row for row in overview["signals"] if row["key"] == "cpu_usage")
    return 0 if signal["value"] is None else sum(value is not None for _, value in signal["points"])


if __name__ == "__main__":
    sys.exit(main())
