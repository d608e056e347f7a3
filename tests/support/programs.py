"""Real programs that keep a state in a file: one of somebody's own, and a systemctl that knows three units."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.driven import Driven

POOL = """
import json, os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
state, log = os.path.join(here, "state.json"), os.path.join(here, "log")
word, *rest = sys.argv[1:]
if word == "hang":
    time.sleep(60)
if word == "read":
    print(open(state).read())
else:
    with open(log, "a") as out:
        out.write(json.dumps([rest, os.environ.get("WATCHKEEPER_TOKEN"), sorted(os.environ)]) + "\\n")
    if rest[0] == "busy":
        sys.exit(75)
    if rest[0] == "broken":
        sys.exit("it broke")
    with open(state, "w") as out:
        json.dump({"state": {"mode": rest[0]}, "capacity": {"healthy": 3, "total": 3}}, out)
"""


def program(folder: Path, name: str, source: str) -> Path:
    """An executable file in Python that starts in 15 ms."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -SE\n{textwrap.dedent(source)}")
    path.chmod(0o755)
    return path


def pool(folder: Path) -> dict[str, object]:
    """A target of kind ``command`` over a program that was just written."""
    path = str(program(folder, "pool", POOL))
    (folder / "state.json").write_text(json.dumps({"state": {"mode": "full"}, "capacity": {"healthy": 3, "total": 3}}))
    return {
        "name": "pool",
        "kind": "command",
        "set": [path, "set", "{mode}"],
        "read": [path, "read"],
        "arguments": {"mode": "[a-z]{1,10}"},
    }


@contextmanager
def command(folder: Path) -> Iterator[Driven]:
    settings, log = pool(folder), folder / "log"
    yield Driven(
        settings=settings,
        parameters={"state": {"mode": "cached"}},
        effects=lambda: len(log.read_text().splitlines()) if log.exists() else 0,
        hang={"read": [str(folder / "pool"), "hang"], "timeout_seconds": 0.1},
    )
