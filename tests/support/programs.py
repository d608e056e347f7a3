"""Real programs that keep a state in a file: one of somebody's own, and a systemctl that knows three units."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


SYSTEMCTL = """
import json, os, sys, uuid
here = os.path.dirname(os.path.abspath(__file__))
path, log = os.path.join(here, "units.json"), os.path.join(here, "jobs")
units = json.load(open(path))
words = [word for word in sys.argv[1:] if not word.startswith("--")]
verb, names = words[0], words[1:]
if verb == "show":
    wanted = [word for word in sys.argv if word.startswith("--property=")][0][11:].split(",")
    blocks = []
    for name in names:
        known = {"Id": name, "LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}
        known["InvocationID"] = ""
        known.update(units.get(name, {}))
        blocks.append("\\n".join(f"{key}={known[key]}" for key in wanted))
    print("\\n\\n".join(blocks))
    sys.exit(0)
with open(log, "a") as out:
    out.write(f"{verb} {' '.join(names)}\\n")
for name in names:
    if name not in units:
        sys.exit(f"Failed to {verb} {name}: Unit {name} not found.")
    if units[name].get("denied"):
        sys.exit(f"Failed to {verb} {name}: Interactive authentication required.")
    broken = units[name].get("broken") and verb != "stop"
    running = verb == "restart" or (verb == "start" and units[name]["ActiveState"] != "active")
    state = ("failed", "failed") if broken else ("inactive", "dead") if verb == "stop" else ("active", "running")
    units[name]["ActiveState"], units[name]["SubState"] = state
    if running and not broken:
        units[name]["InvocationID"] = uuid.uuid4().hex
with open(path, "w") as out:
    json.dump(units, out)
sys.exit(1 if any(units[name].get("broken") for name in names) else 0)
"""


#: systemd is process 1 or nothing: what ``systemctl`` is told and what it tells is played by a program of its name.
#:
#: It keeps to systemctl's own forms: blocks of properties, LoadState=not-found for a unit nobody knows, a new
#: InvocationID with every start, and exit status 1 with a sentence when a job fails.


def systemctl(
    folder: Path, names: Sequence[str] = ("web@1.service", "web@2.service", "web@3.service")
) -> dict[str, Any]:
    units = {
        name: {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "InvocationID": f"first-{name}"}
        for name in names
    }
    (folder / "units.json").write_text(json.dumps(units))
    path = str(program(folder, "systemctl", SYSTEMCTL))
    return {"name": "web", "kind": "systemd", "systemctl": path, "units": list(names), "timeout_seconds": 5.0}


@contextmanager
def systemd(folder: Path) -> Iterator[Driven]:
    settings, jobs = systemctl(folder), folder / "jobs"
    yield Driven(
        settings=settings,
        parameters={"stop": "web@2.service"},
        effects=lambda: len(jobs.read_text().splitlines()) if jobs.exists() else 0,
    )
