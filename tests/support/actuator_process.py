"""The actuator as a process of its own, over a target that is a file: each effect appends its token.

Run as a script it serves; imported it starts and kills that script.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from remediation.actions.haproxy import Haproxy
from remediation.actuator import SocketClient, serve
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, Target
from watchkeeper.ports import Reading

ROOT = Path(__file__).resolve().parents[2]


class Tally(Haproxy):
    """The state is the number of the plan last applied; every effect is a line in a file, whatever dies after."""

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        return Reading(state={}, epoch="same")

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return True

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        with Path(settings["file"]).open("a") as out:
            out.write(f"{intent.idempotency_key}\n")
            out.flush()
            time.sleep(settings.get("pause", 0.0))
        return {"token": intent.token}


def targets(folder: Path, pause: float = 0.0) -> list[dict[str, Any]]:
    return [{"name": "web", "kind": "haproxy", "file": str(folder / "effects"), "pause": pause}]


class Child:
    """Starts, kills and restarts the process."""

    def __init__(self, folder: Path, pause: float = 0.0) -> None:
        self.folder, self.pause = folder, pause
        self.client = SocketClient(folder / "a.sock", timeout=5.0)
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        argv = [sys.executable, __file__, str(self.folder), str(self.pause)]
        self.process = subprocess.Popen(argv, env=environment)
        deadline = time.monotonic() + 20
        while not self.answers():
            assert self.process.poll() is None, "the actuator ended"
            assert time.monotonic() < deadline, "the actuator is not ready"
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            return asyncio.run(self.client.ping()) == self.process.pid
        except ActionError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def effects(self) -> list[str]:
        file = self.folder / "effects"
        return file.read_text().split() if file.exists() else []


def numbered(intent: Intent, number: int) -> Intent:
    return replace(intent, token=number, idempotency_key=f"key-{number}")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    asyncio.run(
        serve(
            place / "a.sock",
            place / "journal",
            targets(place, float(sys.argv[2])),
            place / "kill-switch",
            kinds=lambda _: Tally(),
        )
    )
