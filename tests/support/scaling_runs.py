"""What is measured of a pool that scales: one burst, and the calm that follows."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.scaling import BURST, CALM, IN, LEAST, LIMIT, MOST, OUT, Pool, pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """One burst. Seconds are counted from the first stored sample above the limit."""

    to_count: float  #: until supervisord says that the new count runs
    to_work: float  #: until all of them take jobs
    to_calm: float  #: until the backlog is below the limit
    count: int
    effects: int  #: effects of both rules until then: one is right
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    at: float  #: monotonic
    count: int


#: Everything at once on the way back, so that the next burst can come soon; the way out is the same.
FAST_BACK: dict[str, Any] = {"step": MOST - LEAST, "blast_share": 1.0, "healthy_share": 0.1}


def bursts(count: int) -> Iterator[Out]:
    """So many bursts at different phases of the one-second scrapes, each from two workers that keep up."""
    with pool(**FAST_BACK) as found:
        for number in range(count):
            time.sleep(number / count)  # the only wait for time itself: the phase
            yield one_burst(found)
            steps_down(found, 90)
            found.until("the end of the way back", lambda: not under_way(found), 60)
            found.until("two workers that keep up", lambda: found.value("job_queue_workers") == LEAST, 30)


def under_way(found: Pool) -> bool:
    states = {"armed", "intent_committed", "executing", "verifying", "rolling_back", "unknown", "reconciling"}
    return any(row["state"] in states for rule in (OUT, IN) for row in found.actions(rule))


def one_burst(found: Pool) -> Out:
    before = len(found.effects(OUT)) + len(found.effects(IN))
    since = time.time()
    found.tell(f"/put?n={BURST}")
    first = found.until("a sample above the limit", lambda: found.first_above(since), 30)
    found.until("more workers", lambda: len(found.slots()) == MOST, 60)
    to_count = time.time() - first
    found.until("all of them at work", lambda: found.value("job_queue_workers") == MOST, 60)
    to_work = time.time() - first
    found.until("a calm queue", lambda: found.value("job_queue_pending_count") < LIMIT, 120)
    to_calm = time.time() - first
    found.until("the verdict", lambda: not under_way(found), 60)
    return Out(
        to_count=to_count,
        to_work=to_work,
        to_calm=to_calm,
        count=len(found.slots()),
        effects=len(found.effects(OUT)) + len(found.effects(IN)) - before,
        load=os.getloadavg()[0],
    )


def steps_down(found: Pool, seconds: float) -> list[Step]:
    """Every change of the count until the minimum is reached."""
    seen = [Step(at=time.monotonic(), count=len(found.slots()))]

    def reached() -> bool:
        count = len(found.slots())
        if count != seen[-1].count:
            seen.append(Step(at=time.monotonic(), count=count))
        return count == LEAST

    found.until("the minimum", reached, seconds)
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    during_gap: int  #: workers taken away while nothing could be known
    first_after: float  #: seconds from the end of the gap to the first step in
    largest: int  #: workers taken away at once
    least: int
    reversals: int
    waited: int  #: actions that waited for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    ours_within: int  #: our changes within the hold-off
    noticed_after: float
    refusals: int  #: proposals refused because somebody else changed the target
    hold: float
    acted_after: float


#: Longer than idle must last: a gap that counted as idle would be seen as a step in.
GAP = CALM + 4.0


def calm() -> Calm:
    """A burst, then idle, with a gap of the metrics in it."""
    with pool() as found:
        one_burst(found)
        return way_back(found)


def way_back(found: Pool) -> Calm:
    """From many workers that idle to the minimum; first the metrics are silent for a while."""
    before = len(found.slots())
    found.tell(f"/silent?seconds={GAP:g}")
    silent = time.monotonic()
    found.until("the end of the gap", lambda: time.monotonic() - silent > GAP, GAP + 10)
    during, back = before - len(found.slots()), time.monotonic()
    steps = steps_down(found, 240)
    found.until("the end of the way back", lambda: not under_way(found), 60)
    # idle goes on: the minimum must hold for longer than one more step would take
    lowest = counts_for(found, 2 * CALM)
    moves = [after.count - one.count for one, after in itertools.pairwise(steps)]
    return Calm(
        during_gap=during,
        first_after=steps[1].at - back,
        largest=max(-move for move in moves),
        least=min(lowest),
        reversals=sum(move > 0 for move in moves),
        waited=sum("awaiting_approval" in path(found, row) for rule in (OUT, IN) for row in found.effects(rule)),
    )


def counts_for(found: Pool, seconds: float) -> list[int]:
    """How many slots ran, again and again for so long."""
    began, counts = time.monotonic(), []

    def over() -> bool:
        counts.append(len(found.slots()))
        return time.monotonic() - began > seconds

    found.until("some time", over, seconds + 10)
    return counts


def path(found: Pool, row: dict[str, Any]) -> list[str]:
    """States an action has passed."""
    chain = found.up.ask("GET", f"/api/wk/explain/{row['id']}")["chain"]
    return [str(one["new_state"]) for one in chain]


def rival(hold: float = 15.0) -> Rival:
    """Somebody adds a worker by hand; then a burst comes."""
    with pool(foreign_hold=f"{hold:g}s") as found:
        return hands_off(found, hold)


def hands_off(found: Pool, hold: float) -> Rival:
    found.start_by_hand("jobs:jobs_9")
    at = time.monotonic()
    found.tell(f"/put?n={4 * BURST}")

    def noticed() -> bool:
        rows = found.up.ask("GET", "/api/wk/audit?limit=500")["rows"]
        return any(row["action"] == "target.foreign_change" and row["subject"] == "jobs" for row in rows)

    found.until("it is noticed", noticed, 30)
    known = time.monotonic()
    counts = counts_for(found, hold - 0.5 - (known - at))
    found.until("our change", lambda: len(found.slots()) == MOST, 60)
    acted = time.monotonic() - at
    refused = [row for row in found.actions(OUT) if any(_by_drift(one) for one in row["verdicts"])]
    return Rival(
        ours_within=sum(count != LEAST + 1 for count in counts),
        noticed_after=known - at,
        refusals=len(refused),
        hold=hold,
        acted_after=acted,
    )


def _by_drift(verdict: dict[str, Any]) -> bool:
    return verdict["gate"] == "drift" and not verdict["passed"]
