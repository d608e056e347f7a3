"""SIGHUP to the parent: read the configuration anew, said on to the engine; or the terminal is gone, and we go too."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.app.children import Child


@dataclass(slots=True)
class Hangup:
    """Takes the signal at any moment; ``forward`` hands it on once the engine listens for it."""

    engine_ready: Path  #: written by the engine when it is ready, with its process number
    terminal: bool = field(default_factory=lambda: os.isatty(sys.stdin.fileno()) if sys.stdin else False)
    waiting: bool = False

    def listen(self, stopping: list[int]) -> None:
        signal.signal(signal.SIGHUP, lambda got, _frame: self.take(got, stopping))

    def take(self, number: int, stopping: list[int]) -> None:
        """A closed terminal sends the same signal: whoever was started there ends with it."""
        if self.terminal and not os.isatty(sys.stdin.fileno()):
            stopping.append(number)
        else:
            self.waiting = True

    def forward(self, children: Sequence[Child]) -> bool:
        """True when the engine was told. One that is not ready yet is told when it is."""
        if not self.waiting:
            return False
        engine = next((child.process for child in children if child.name == "engine" and child.process), None)
        if engine is None or engine.poll() is not None or engine.pid != self._listening():
            return False
        self.waiting = False
        engine.send_signal(signal.SIGHUP)
        return True

    def _listening(self) -> int:
        """Process number of the engine that said it is ready; 0 while none has, or while it is just writing it."""
        try:
            return int(json.loads(self.engine_ready.read_text(encoding="utf-8"))["pid"])
        except (FileNotFoundError, ValueError):
            return 0
