"""A ``journalctl`` of a few lines that gives the entries of a file behind a cursor; and systemd's own journal files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.servers import need

SCRIPT = """#!{python}
import json, sys, time
from pathlib import Path
entries, after, seen = Path({entries!r}), "", 0
for word in sys.argv[1:]:
    if word.startswith("--after-cursor="):
        after = word.partition("=")[2]
lines = entries.read_text().splitlines()
def cursor(line):
    try:
        return json.loads(line)["__CURSOR"]
    except (ValueError, KeyError, TypeError):
        return ""
cursors = list(map(cursor, lines))
if "no-such-cursor" in after:
    sys.exit("Failed to seek to cursor: Invalid argument")
seen = cursors.index(after) + 1 if after else max(0, len(lines) - 1)
while entries.exists():
    lines = entries.read_text().splitlines()
    for line in lines[seen:]:
        print(line, flush=True)
    seen = len(lines)
    if "--follow" not in sys.argv:
        break
    time.sleep(0.02)
"""


def entry(number: int, message: object = "hello", priority: int = 6, unit: str = "shop.service") -> str:
    said = {"__CURSOR": f"s=1;i={number}", "__REALTIME_TIMESTAMP": str(1_795_348_800_000_000 + number * 1000)}
    return json.dumps({**said, "MESSAGE": message, "PRIORITY": str(priority), "_SYSTEMD_UNIT": unit, "_HOSTNAME": "a"})


def add(folder: Path, *lines: str) -> None:
    with (folder / "entries").open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def journalctl(folder: Path) -> str:
    """Path of the program; entries are added by ``add``. It ends when the file of entries is gone."""
    (folder / "entries").touch()
    program = folder / "journalctl"
    program.write_text(SCRIPT.format(python=sys.executable, entries=str(folder / "entries")))
    program.chmod(0o755)
    return str(program)


def written(folder: Path, boot: str, **fields: bytes) -> None:
    """One entry more in a journal of systemd's own, by the program that keeps journals of other machines."""
    said = b"__REALTIME_TIMESTAMP=1795348800000000\n_BOOT_ID=" + boot.encode() * 32 + b"\n"
    for name, value in fields.items():
        said += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    program = need("/lib/systemd/systemd-journal-remote")
    subprocess.run([program, "-o", str(folder / "system.journal"), "-"], input=said + b"\n", check=True, timeout=30)
