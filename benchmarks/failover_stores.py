"""From a killed primary to the next write that is taken: Redis under Sentinel, PostgreSQL under Patroni.

    python benchmarks/failover_stores.py [--runs 3] [--store redis,patroni] [--load 4]

Real servers and a real ``watchkeeper up``, everything anew for each run; the primary and all it started are ended by
kill -9 while somebody writes 50 times a second to whoever is the primary. Redis is looked at every half second,
PostgreSQL every second. The Sentinel would wait ten minutes, so the switch is Watchkeeper's. Patroni keeps a lease of
20 s, its shortest: nobody is promoted before it ends, and what is measured is the time beyond it. Of every kill it is
told when the failure was confirmed and the effect decided: what follows is the store's own switch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import failover_stores as stores  # noqa: E402
from support.patroni_pair import LEASE  # noqa: E402

from benchmarks._figures import Figure, calm_down, median, show  # noqa: E402

#: Seconds, in every run: Redis from the kill, PostgreSQL from the end of the lease.
BARS = {"redis": 6.0, "patroni": 10.0}
RUNS: dict[str, Callable[[], stores.Switch]] = {"redis": stores.redis, "patroni": stores.patroni}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="kills of each primary")
    parser.add_argument("--store", default=",".join(RUNS), help="which, separated by commas")
    parser.add_argument("--load", type=float, default=0, help="start each run once the machine's load is below this")
    options = parser.parse_args(arguments)
    wanted = options.store.split(",")
    if unknown := sorted(set(wanted) - set(RUNS)):
        parser.error(f"unknown store {unknown[0]!r}; there are {', '.join(RUNS)}")
    return int(sum(measure(name, options.runs, options.load) for name in wanted) > 0)


def measure(name: str, count: int, load: float = 0) -> int:
    found = []
    for number in range(count):
        calm_down(load)
        try:
            found.append(RUNS[name]())
        except AssertionError as error:
            print(f"  run {number + 1}: {str(error)[:2000]}", flush=True)
            continue
        print(f"  run {number + 1}: {found[-1]}", flush=True)
    figures = [Figure("runs that did not come to their end", count - len(found), "runs", 0)]
    if found:
        seconds = [one.seconds for one in found]
        figures += [
            Figure("kill to the next write, worst", max(seconds), "s", BARS[name] if name == "redis" else float("nan")),
            Figure("the same, median", median(seconds), "s"),
            Figure("kill to confirmed and decided, worst", max(one.confirmed for one in found), "s"),
            Figure("the same, median", median([one.confirmed for one in found]), "s"),
            Figure("decided to written, median", median([one.seconds - one.confirmed for one in found]), "s"),
            Figure("load average, highest", max(one.load for one in found), ""),
            Figure("runs without one verified action", sum(one.states != ("succeeded",) for one in found), "runs", 0),
        ]
        if name == "patroni":
            beyond = max(one.beyond_lease for one in found)
            figures.append(Figure(f"beyond the lease of {LEASE} s, worst", beyond, "s", BARS[name]))
    return show(f"failover of {name}: kill -9 of the primary, {count} runs, 50 writes a second", figures)


if __name__ == "__main__":
    sys.exit(main())
