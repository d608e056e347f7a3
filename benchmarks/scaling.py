"""From a backlog to more workers, against a real supervisord: how long it takes, and that it stays calm.

    python benchmarks/scaling.py [--runs 20] [--scenario out,calm,rival] [--busy 2]

A real queue process, real worker processes under supervisord, and `watchkeeper up`. The clock starts at the first
stored sample above the limit and stops when supervisord says that the new count runs.

out    20 bursts of 300 jobs at different phases of the scrapes: two workers become eight; the worst counts
calm   the way back: one worker at a time, none during a gap of the metrics, none below the minimum
rival  somebody else adds a worker: noticed, and left alone for the hold-off even though a burst comes
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import scaling_runs as runs  # noqa: E402
from support.failover import busy  # noqa: E402
from support.scaling import CALM, LEAST, MOST  # noqa: E402

from benchmarks._figures import Figure, median, show  # noqa: E402

BAR = 30.0  #: seconds from the first stored sample above the limit to the new count, in every run
SCENARIOS = ("out", "calm", "rival")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="bursts")
    parser.add_argument("--scenario", default=",".join(SCENARIOS), help="which, separated by commas")
    parser.add_argument("--busy", type=int, default=0, help="processes that never rest beside it all")
    options = parser.parse_args(arguments)
    wanted = options.scenario.split(",")
    if unknown := sorted(set(wanted) - set(SCENARIOS)):
        parser.error(f"unknown scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    failures = 0
    with busy(options.busy) if options.busy else nullcontext():
        if "out" in wanted:
            failures += out(options.runs)
        for name, measure in (("calm", calm), ("rival", rival)):
            if name in wanted:
                failures += measure()
    return int(failures > 0)


def out(count: int) -> int:
    found: list[runs.Out] = []
    for one in runs.bursts(count):
        found.append(one)
        print(f"  run {len(found)}: {json.dumps(asdict(one))}", flush=True)
    figures = [
        Figure("sample above the limit to the new count, worst", max(one.to_count for one in found), "s", BAR),
        Figure("the same, median", median([one.to_count for one in found]), "s"),
        Figure("to all of them taking jobs, worst", max(one.to_work for one in found), "s"),
        Figure("to a backlog below the limit, worst", max(one.to_calm for one in found), "s"),
        Figure(f"runs that did not end at {MOST} workers", sum(one.count != MOST for one in found), "runs", 0),
        Figure("runs without exactly one effect", sum(one.effects != 1 for one in found), "runs", 0),
        Figure("load average, highest", max(one.load for one in found), ""),
    ]
    return show(f"scaling: {len(found)} of {count} bursts, {LEAST} to {MOST} workers", figures)


def calm() -> int:
    found = runs.calm()
    figures = [
        Figure("workers taken away during a gap of the metrics", found.during_gap, "workers", 0),
        Figure("end of the gap to the first step", found.first_after, "s"),
        Figure(f"steps before {CALM} s of known calm", int(found.first_after < CALM), "steps", 0),
        Figure("workers taken away at once, most", found.largest, "workers", 1),
        Figure("workers below the minimum", LEAST - found.least, "workers", 0),
        Figure("changes of direction", found.reversals, "changes", 0),
        Figure("actions that waited for a person", found.waited, "actions", 0),
    ]
    return show("scaling: the way back, one worker at a time", figures)


def rival() -> int:
    found = runs.rival()
    figures = [
        Figure("our changes within the hold-off", found.ours_within, "changes", 0),
        Figure("foreign change to our knowing it", found.noticed_after, "s", 10.0),
        Figure("proposals refused for it", found.refusals, "proposals"),
        Figure("hold-offs without such a refusal", int(found.refusals == 0), "hold-offs", 0),
        Figure("hold-off", found.hold, "s"),
        Figure("foreign change to our next change", found.acted_after, "s"),
    ]
    return show("scaling: somebody else changes the count", figures)


if __name__ == "__main__":
    sys.exit(main())
