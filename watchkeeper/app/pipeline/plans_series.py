"""Plans as series: what is under way and for how long, how long recoveries took, and how old the drills are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from remediation.contingency.load import Known
from watchkeeper.app.pipeline.published import Row
from watchkeeper.model import PlanRun, labels

#: Runs that are over are published for this long.
SHOWN = timedelta(hours=1)


def rows(
    known: Mapping[str, Known], runs: Sequence[PlanRun], drills: Mapping[str, datetime], now: datetime
) -> Iterator[Row]:
    """``runs``: those under way and the newest that are over. Clocks of drills are series of their own."""
    yield from _clocks([run for run in runs if run.state.over is False or _recent(run, now)], now)
    live = Counter((run.plan, run.drill) for run in runs if not run.state.over)
    for name, one in known.items():
        for drill in (False, True):
            about = {"plan": name, "drill": str(drill).lower()}
            yield labels("watchkeeper_plan_running", about), float(live[name, drill])
        yield labels("watchkeeper_plan_target_seconds", plan=name), one.plan.recovery.target.total_seconds()
        yield from _ages(name, one, drills, now)


def _ages(name: str, known: Known, drills: Mapping[str, datetime], now: datetime) -> Iterable[Row]:
    """A plan that was never drilled has no age: only what is expected of it."""
    if name in drills:
        yield labels("watchkeeper_plan_drill_age_seconds", plan=name), (now - drills[name]).total_seconds()
    if known.plan.drill_every is not None:
        yield labels("watchkeeper_plan_drill_age_target_seconds", plan=name), known.plan.drill_every.total_seconds()


def _clocks(runs: Iterable[PlanRun], now: datetime) -> Iterable[Row]:
    for run in runs:
        about = {"plan": run.plan, "run": run.id}
        if run.drill:
            took = (run.ended_at or now) - run.started_at
            yield labels("watchkeeper_plan_drill_duration_seconds", about), took.total_seconds()
            continue
        if run.recovered_at is not None:
            took = run.recovered_at - run.clock_at
            yield labels("watchkeeper_plan_recovery_seconds", about), took.total_seconds()
        elif not run.state.over:
            yield labels("watchkeeper_plan_elapsed_seconds", about), (now - run.clock_at).total_seconds()


def _recent(run: PlanRun, now: datetime) -> bool:
    return run.ended_at is not None and now - run.ended_at < SHOWN
