"""Runs of contingency plans and their evidence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, delete, func, select

from watchkeeper.model import PlanRun, RunState, StepRun, StepState
from watchkeeper.store.state.repositories.common import Repository, next_number, upsert
from watchkeeper.store.state.tables import dump_json, plan_evidence, plan_runs

# Statements are made once: making one takes longer than carrying it out.
_NEWEST = select(plan_runs.c.run).order_by(plan_runs.c.started_at.desc(), plan_runs.c.id.desc())
_LIVE = (
    select(plan_runs.c.run)
    .where(plan_runs.c.state.in_([one for one in RunState if not one.over]))
    .order_by(plan_runs.c.started_at, plan_runs.c.id)
)
_BY_ID = select(plan_runs.c.run).where(plan_runs.c.id == bindparam("id"))
_OF_INCIDENT = _NEWEST.where(plan_runs.c.incident_id == bindparam("incident"))
_KEY = select(plan_runs.c.id).where(plan_runs.c.key == bindparam("key"))
_DRILLS = (
    select(plan_runs.c.plan, func.max(plan_runs.c.ended_at))
    .where(plan_runs.c.drill, plan_runs.c.state == RunState.COMPLETED)
    .group_by(plan_runs.c.plan)
)
_EVIDENCE = select(plan_evidence).where(plan_evidence.c.run_id == bindparam("run"))
#: Fields of a run and of a step that are moments.
_MOMENTS = ("clock_at", "due_at", "started_at", "quiet_since", "recovered_at", "late_at", "ended_at", "overdue_at")


class Plans(Repository):
    def new_id(self) -> str:
        return f"plan-{next_number(self.connection, 'plan_run')}"

    def save(self, run: PlanRun) -> None:
        """Keep the row. A second run of one plan for one incident breaks the key, and raises StoreError."""
        row = {
            "key": run.key,
            "plan": run.plan,
            "incident_id": run.incident_id,
            "drill": run.drill,
            "state": run.state,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "run": _body(run),
        }
        upsert(self.connection, plan_runs, {"id": run.id}, row)

    def get(self, run_id: str) -> PlanRun | None:
        return next(iter(self._runs(_BY_ID, id=run_id)), None)

    def taken(self, key: str) -> str:
        """The run that has this key; empty for none."""
        return str(self.connection.execute(_KEY, {"key": key}).scalar() or "")

    def live(self) -> list[PlanRun]:
        """Those that are not over, oldest first."""
        return self._runs(_LIVE)

    def recent(self, limit: int = 100) -> list[PlanRun]:
        """Newest first."""
        return self._runs(_NEWEST.limit(limit))

    def of_incident(self, incident_id: str) -> list[PlanRun]:
        return self._runs(_OF_INCIDENT, incident=incident_id) if incident_id else []

    def last_drills(self) -> dict[str, datetime]:
        """Plan -> end of its newest drill that was gone through."""
        return {plan: at for plan, at in self.connection.execute(_DRILLS) if at is not None}

    def _runs(self, statement: Select[Any], **values: object) -> list[PlanRun]:
        return [_run(row[0]) for row in self.connection.execute(statement, values)]

    # evidence --------------------------------------------------------------------------------------------------------

    def keep_evidence(self, run_id: str, moment: str, body: Mapping[str, Any], *, at: datetime) -> None:
        """``moment``: start or end."""
        packed = gzip.compress(dump_json(body).encode(), mtime=0)
        upsert(self.connection, plan_evidence, {"run_id": run_id, "moment": moment}, {"at": at, "body": packed})

    def evidence(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Moment -> what was collected then."""
        rows: list[RowMapping] = list(self.connection.execute(_EVIDENCE, {"run": run_id}).mappings())
        return {row["moment"]: json.loads(gzip.decompress(row["body"])) for row in rows}

    def has_evidence(self, run_id: str) -> set[str]:
        query = select(plan_evidence.c.moment).where(plan_evidence.c.run_id == run_id)
        return {row[0] for row in self.connection.execute(query)}

    def prune(self, before: datetime) -> int:
        """Drop evidence of that time; the runs stay."""
        return self.connection.execute(delete(plan_evidence).where(plan_evidence.c.at < before)).rowcount


def _body(run: PlanRun) -> dict[str, Any]:
    found = {one.name: getattr(run, one.name) for one in fields(run)}
    found["steps"] = [{one.name: getattr(step, one.name) for one in fields(step)} for step in run.steps]
    return found


def _run(body: Mapping[str, Any]) -> PlanRun:
    values = _moments(body)
    values["state"] = RunState(values["state"])
    values["steps"] = tuple(
        StepRun(**{**_moments(step), "state": StepState(step["state"])}) for step in values["steps"]
    )
    return PlanRun(**values)


def _moments(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _MOMENTS and value else value for name, value in body.items()
    }
