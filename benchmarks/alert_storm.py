"""10,000 alerts at once over 200 services: how long until the first P0 message, and how many messages a robot gets.

    python benchmarks/alert_storm.py [--alerts 10000] [--services 200]

The way is the engine's own: rows of alerts, incidents and the outbox in one transaction of a real SQLite file that
syncs at commit, then delivery to a robot with DingTalk's limits. The only P0 is the last alert of all. Seconds of the
first parts are real; the minute and ten minutes of delivery are on a manual clock.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.states import sqlite_state  # noqa: E402
from support.storm import Storm, brewing, storm, within  # noqa: E402

from benchmarks._figures import Figure, show  # noqa: E402
from incidents import read_ledger  # noqa: E402

FIRST_P0 = 5.0  #: seconds from the evaluator's answer to the robot
MESSAGES_IN_MINUTE, MESSAGES_IN_TEN = 6, 20
GROWTH = 200.0  #: MiB of resident memory
KIB_IN_MIB = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--services", type=int, default=200)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), options.alerts, options.services))
    return show(f"alert storm: {options.alerts:,} alerts over {options.services} services", figures)


async def measure(folder: Path, alerts: int, services: int) -> list[Figure]:
    state = sqlite_state(folder, durable=True)
    try:
        async with brewing(state) as one:
            found = storm(alerts, services)
            before, started = peak(), time.perf_counter()
            await asyncio.to_thread(one.strike, found)
            await one.deliver(1)
            first = time.perf_counter() - started
            grown = peak() - before
            is_p0 = "P0" in one.double.accepted[0].json["markdown"]["title"]
            await one.deliver(599)
            return [
                *(Figure(f"  {name}", seconds, "s") for name, seconds in one.seconds.items()),
                Figure("first P0 message at the robot", first if is_p0 else float("inf"), "s", FIRST_P0),
                Figure("growth of resident memory", grown, "MiB", GROWTH),
                *delivered(one),
                Figure("alerts not accounted for", alerts - accounted(one), "alerts", 0),
            ]
    finally:
        state.close()


def delivered(one: Storm) -> list[Figure]:
    times = one.told_after()
    return [
        Figure("messages in the first 60 s", within(times, 60), "messages", MESSAGES_IN_MINUTE),
        Figure("messages in the first 10 min", within(times, 600), "messages", MESSAGES_IN_TEN),
        Figure("lock-outs", one.double.lockouts, "times", 0),
    ]


def accounted(one: Storm) -> int:
    """Alerts that stand under exactly one word of the ledger."""
    with one.state.read() as unit:
        ledger = read_ledger(unit)
    return ledger.raised if ledger.balanced else 0


def peak() -> float:
    """Largest resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_IN_MIB


if __name__ == "__main__":
    sys.exit(main())
