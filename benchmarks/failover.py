"""From a killed primary to traffic on the backup, and everything that must not happen around it.

    python benchmarks/failover.py [--runs 20] [--scenario kill,both,freeze,cut,dry-run,return] [--busy 2]

Two real HTTP servers behind a real HAProxy whose server lines have no ``check``; the backup begins in maintenance, so
the measured switch is Watchkeeper's. A user in a process of their own asks 50 times a second throughout and writes down
who answered. Every run starts everything anew, with the kill at another phase of the one-second probes.

kill     kill -9 of the primary; later it comes back, and so does the traffic: 20 runs, the worst counts
return   what the same runs say about the way back: dwell, half-open and hold before it, no failed request after it
both     both copies die: nothing is switched, a P0 goes out
freeze   engine and actuator stand still for 20 s while all is healthy: no action, nor in the 32 s after
cut      the watcher loses every target, HAProxy and the canaries: no action, and it says so
dry-run  the same plan, byte for byte, and no effect
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import failover_runs as runs  # noqa: E402
from support.failover import busy  # noqa: E402
from support.failover_config import LINK  # noqa: E402

from benchmarks._figures import Figure, median, show  # noqa: E402

BAR = 5.0  #: seconds from the kill to traffic on the backup, in every run
SCENARIOS = ("kill", "return", "both", "freeze", "cut", "dry-run")
#: The backup serves for the dwell, then half-open lasts for the hold.
LEAST_AWAY = float(LINK["dwell"][:-1]) + float(LINK["hold"][:-1])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="kills of the primary")
    parser.add_argument("--scenario", default=",".join(SCENARIOS), help="which, separated by commas")
    parser.add_argument("--busy", type=int, default=0, help="processes that never rest beside it all")
    options = parser.parse_args(arguments)
    wanted = options.scenario.split(",")
    if unknown := sorted(set(wanted) - set(SCENARIOS)):
        parser.error(f"unknown scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    failures = 0
    with busy(options.busy) if options.busy else nullcontext():
        if {"kill", "return"} & set(wanted):
            failures += kills(options.runs, wanted)
        for name, measure in (("both", both), ("freeze", freeze), ("cut", cut), ("dry-run", dry_run)):
            if name in wanted:
                failures += measure()
    return int(failures > 0)


def kills(count: int, wanted: Sequence[str]) -> int:
    found = [_run(number, count) for number in range(count)]
    cycles = [cycle for cycle in found if cycle is not None]
    failures = show(
        "failover: all runs", [Figure("runs that did not come to their end", count - len(cycles), "runs", 0)]
    )
    if not cycles:
        return failures
    if "kill" in wanted:
        failures += show(f"failover: kill -9 of the primary, {count} runs, 50 requests a second", kill_figures(cycles))
    if "return" in wanted:
        failures += show("failover: the way back", return_figures(cycles))
    return failures


def _run(number: int, count: int) -> runs.Cycle | None:
    """None, with the reason printed, when something did not happen in time: that is a miss, and the others go on."""
    try:
        cycle = replace(runs.kill(number / count), load=os.getloadavg()[0])
    except AssertionError as error:
        print(f"  run {number + 1}: {error}", flush=True)
        return None
    told = {name: value for name, value in asdict(cycle).items() if name != "plan"}
    print(f"  run {number + 1}: {json.dumps(told)}", flush=True)
    return cycle


def kill_figures(cycles: Sequence[runs.Cycle]) -> list[Figure]:
    seconds = [cycle.switch_seconds for cycle in cycles]
    return [
        Figure("kill to traffic on the backup, worst", max(seconds), "s", BAR),
        Figure("the same, median", median(seconds), "s"),
        Figure("failed requests before the switch, worst", max(cycle.failed for cycle in cycles), "requests"),
        Figure("failed requests after the switch", sum(cycle.failed_later for cycle in cycles), "requests", 0),
        off("runs without exactly one effect", cycles, lambda one: one.effects == 1),
        off("runs without exactly one incident", cycles, lambda one: one.incidents == 1),
        off("runs and robots not told once it fires", cycles, lambda one: set(one.firing.values()) == {1}),
        off("runs and robots not told once it is over", cycles, lambda one: set(one.resolved.values()) == {1}),
        off("runs with a broken audit", cycles, lambda one: one.audit_intact),
        Figure("load average, highest", max(cycle.load for cycle in cycles), ""),
    ]


def return_figures(cycles: Sequence[runs.Cycle]) -> list[Figure]:
    away = [cycle.dwelt_seconds for cycle in cycles]
    return [
        off("runs without exactly one way back", cycles, lambda one: one.returns == 1),
        off(f"runs back before dwell and half-open ({LEAST_AWAY:g} s)", cycles, away_long_enough),
        Figure("traffic away from the primary, shortest", min(away), "s"),
        Figure("the same, longest", max(away), "s"),
        Figure("primary alive to traffic on it, median", median([cycle.back_seconds for cycle in cycles]), "s"),
    ]


def away_long_enough(cycle: runs.Cycle) -> bool:
    return cycle.dwelt_seconds >= LEAST_AWAY


def off(name: str, cycles: Sequence[runs.Cycle], right: Callable[[runs.Cycle], bool]) -> Figure:
    return Figure(name, sum(not right(cycle) for cycle in cycles), "runs", 0)


def both() -> int:
    found = runs.both()
    figures = [*nothing(found), Figure("kill of both to a P0 on every robot", found.said_after, "s", 10.0)]
    return show(f"failover: both copies die ({found.detail})", figures)


def freeze() -> int:
    found = runs.freeze()
    figures = [*nothing(found), Figure("failed requests", found.failed, "requests", 0)]
    return show(f"failover: the watcher stands still for 20 s ({found.detail})", figures)


def cut() -> int:
    found = runs.cut()
    said = Figure("cut to a message on every robot", found.said_after, "s", 10.0)
    figures = [*nothing(found), Figure("failed requests", found.failed, "requests", 0), said]
    return show(f"failover: the watcher is cut off ({found.detail})", figures)


def dry_run() -> int:
    found, real = runs.dry_run(), runs.kill().plan
    differ = int(runs.plan_bytes(found.plan) != runs.plan_bytes(real))
    figures = [*nothing(found), Figure("plans that differ from the real one", differ, "plans", 0)]
    return show(f"failover: dry-run ({len(runs.plan_bytes(real))} bytes of plan)", figures)


def nothing(found: runs.Quiet) -> list[Figure]:
    return [
        Figure("switches", found.effects, "effects", 0),
        Figure("answers of the backup", found.backup_answers, "answers", 0),
        Figure("watched for", found.seconds, "s"),
    ]


if __name__ == "__main__":
    sys.exit(main())
