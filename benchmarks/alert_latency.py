"""From a changed value at a target to the message at a robot: the worst of 50 flips.

    python benchmarks/alert_latency.py [--flips 50]

A gauge of a scraped page is set over its limit and back. Scrapes and the rule run every second, the rule has no
``for``, the severity is P0, so nothing waits for a group. The time runs from the scrape that first carried the new
value to the moment the webhook's request is whole; the resolving message is waited for before the next flip and is
measured too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.robots import Request, Robots, robots  # noqa: E402
from support.targets import Target, answer, target  # noqa: E402
from support.up import running  # noqa: E402

from benchmarks._figures import Figure, median, quantile, show  # noqa: E402

BAR = 3.0  #: seconds, the worst of all
#: A message that has not come by then never will.
LOST_AFTER = 30.0
RULES = {
    "groups": [
        {
            "name": "flips",
            "interval": "1s",
            "rules": [
                {
                    "alert": "Flipped",
                    "expr": "flipping_gauge > 50",
                    "labels": {"severity": "P0"},
                    "annotations": {"summary": "flip {{ $value }}"},
                }
            ],
        }
    ]
}


@dataclass
class Flips:
    """A target that notes when it was scraped with which value, and a robot that notes when it was told."""

    server: Target
    double: Robots
    value: float = 0.0
    scraped: dict[float, float] = field(default_factory=dict)  #: value -> first scrape with it
    told: list[float] = field(default_factory=list)  #: arrival of each message that it fires or is over

    def watch(self) -> None:
        """Note the times at the doubles' own doors."""
        respond = self.double.respond

        def told(request: Request) -> bytes:
            if request.json["kind"] in ("firing", "resolved"):
                self.told.append(time.monotonic())
            return respond(request)

        self.double.respond = told  # type: ignore[method-assign]
        self.server.pages = Pages(self)

    def set(self, value: float) -> None:
        self.value = value

    async def arrival(self, count: int) -> float:
        """When message number ``count`` came."""
        deadline = time.monotonic() + LOST_AFTER
        while len(self.told) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"message {count} has not come within {LOST_AFTER:g} s: {len(self.told)} came")
            await asyncio.sleep(0.002)
        return self.told[count - 1]


class Pages(dict[str, bytes]):
    """The page of the moment, and when it was asked for."""

    def __init__(self, flips: Flips) -> None:
        super().__init__()
        self.flips = flips

    def get(self, path: str, default: Any = None) -> Any:
        if path != "/metrics":
            return default
        self.flips.scraped.setdefault(self.flips.value, time.monotonic())
        return answer(f"flipping_gauge {self.flips.value}\n".encode())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=50, help="how often the gauge goes over its limit")
    options = parser.parse_args(arguments)
    raised, resolved = asyncio.run(measure(options.flips))
    figures = [
        Figure(f"worst of {len(raised)} from scrape to message", max(raised), "s", BAR),
        Figure("95th percentile", quantile(raised, 0.95), "s"),
        Figure("median", median(raised), "s"),
        Figure(f"worst of {len(resolved)} resolving messages", max(resolved), "s"),
    ]
    return show(f"alert latency: {options.flips} flips, scrape and rule every second, P0", figures)


async def measure(count: int) -> tuple[list[float], list[float]]:
    async with target() as server, robots() as double:
        flips = Flips(server, double)
        flips.watch()
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            (folder / "rules").mkdir()
            (folder / "rules" / "flips.yaml").write_text(json.dumps(RULES))
            engine = running(folder, **sections(server, double))
            await asyncio.to_thread(engine.__enter__)  # it waits, and the doubles live on this loop
            try:
                return await flip(flips, count)
            finally:
                await asyncio.to_thread(engine.__exit__, None, None, None)


def sections(server: Target, double: Robots) -> dict[str, Any]:
    source = {"kind": "openmetrics", "name": "flips", "url": server.url(), "interval": "1s"}
    channel = {"name": "robot", "kind": "webhook", "url": f"{double.base}/hook"}
    return {
        "collect": {"host": False, "own_logs": False, "sources": [source]},
        "rules": {"packs": []},
        "notify": {"channels": [channel]},
    }


async def flip(flips: Flips, count: int) -> tuple[list[float], list[float]]:
    """Every value is used once, so that its first scrape is known."""
    raised: list[float] = []
    resolved: list[float] = []
    for number in range(count):
        for value, into in ((100.0 + number, raised), (number / 1000, resolved)):
            flips.set(value)
            at = await flips.arrival(len(raised) + len(resolved) + 1)
            into.append(at - flips.scraped[value])
    return raised, resolved


if __name__ == "__main__":
    sys.exit(main())
