"""The evidence of a run: collected when it begins and when it is over, and given away as one file."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from remediation.contingency import Turn
from watchkeeper.app.api import shapes
from watchkeeper.app.pipeline.plans_page import page
from watchkeeper.clock import to_ms
from watchkeeper.config.plans import EvidenceLogs, Plan
from watchkeeper.errors import QueryError
from watchkeeper.model import PlanRun, format_series
from watchkeeper.store.logs import Question
from watchkeeper.store.state import Transition, Unit

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Series of one question and points of one series that are kept.
SERIES, POINTS = 20, 240
#: Alerts and messages of the incident that are kept.
ROWS = 500


def collect(engine: Engine, run: PlanRun, moment: str, now: datetime) -> dict[str, Any]:
    """Everything as it is now, as plain data. What cannot be read says so in its place and keeps nothing else out."""
    plan = Turn.of(run, now).plan
    since = run.clock_at - plan.evidence.before
    with engine.state.read() as unit:
        told = _told(unit, run)
    return {
        "moment": moment,
        "at": shapes.moment(now),
        "since": shapes.moment(since),
        **told,
        "metrics": [
            {"title": one.title, "query": one.query, **_metrics(engine, one.query, since, now)}
            for one in plan.evidence.queries
        ],
        "logs": [{**one.model_dump(), **_logs(engine, one, since, now)} for one in plan.evidence.logs],
        "links": [one.model_dump() for one in plan.evidence.links],
    }


def _told(unit: Unit, run: PlanRun) -> dict[str, Any]:
    """Incident, alerts, actions with who approved them, and every transition of all of them."""
    incident = unit.incidents.get(run.incident_id) if run.incident_id else None
    alerts = unit.alerts.of_incident(run.incident_id)[:ROWS] if run.incident_id else []
    asked = [record for step in run.steps if step.action_id and (record := unit.actions.get(step.action_id))]
    actions = {one.id: one for one in [*(unit.actions.of_incident(run.incident_id) if run.incident_id else []), *asked]}
    subjects = [run.id, *(f"{run.id}/{step.name}" for step in run.steps), run.incident_id, *actions]
    subjects += [one.id for one in alerts]
    rows = [row for subject in subjects if subject for row in unit.transitions.of(subject)]
    approvals = {one: [shapes.plain(_word(word)) for word in unit.actions.approvals(one)] for one in actions}
    return {
        "run": run_body(run),
        "incident": shapes.incident(incident, alerts=len(alerts), actions=len(actions)) if incident else None,
        "alerts": [shapes.alert(one) for one in alerts],
        "actions": [shapes.action(one, approvals=approvals[one.id], needs=0) for one in actions.values()],
        "timeline": [shapes.transition(row) for row in sorted(rows, key=_order)],
        "messages": [shapes.delivery(one) for one in unit.outbox.of_subject(run.incident_id or run.id)[:ROWS]],
    }


def run_body(run: PlanRun) -> dict[str, Any]:
    """A run as JSON."""
    names = [name for name in run.__slots__ if name not in ("steps", "definition")]
    found = {name: shapes.plain(getattr(run, name)) for name in names}
    steps = [{name: shapes.plain(getattr(step, name)) for name in step.__slots__} for step in run.steps]
    return {**found, "state": str(run.state), "steps": steps, "definition": shapes.plain(run.definition)}


def _word(word: Any) -> dict[str, object]:
    return {"user": word.user, "verdict": word.verdict, "reason": word.reason, "at": word.at}


def _order(row: Transition) -> tuple[datetime, int]:
    return row.at, row.id


def _metrics(engine: Engine, query: str, since: datetime, now: datetime) -> dict[str, Any]:
    step = max((now - since) / POINTS, timedelta(seconds=1))
    try:
        found = engine.promql.range(query, to_ms(since), to_ms(now), round(step.total_seconds() * 1000))
    except QueryError as error:
        return {"error": str(error), "series": []}
    values = np.where(found.present, found.values, np.nan)
    series = [
        {"name": format_series(one), "points": shapes.pairs(found.times, values[index])}
        for index, one in enumerate(found.series[:SERIES])
    ]
    return {"error": "", "series": series, "left_out": max(len(found.series) - SERIES, 0)}


def _logs(engine: Engine, wanted: EvidenceLogs, since: datetime, now: datetime) -> dict[str, Any]:
    question = Question(
        query=wanted.query, start_ms=to_ms(since), end_ms=to_ms(now), service=wanted.service, limit=wanted.lines
    )
    try:
        found = engine.lines.store.search(question)
    except QueryError as error:
        return {"error": str(error), "found": []}
    return {
        "error": "",
        "found": [{"time_ms": one.time_ms, "severity": one.severity, "text": one.text} for one in found.lines],
    }


# --- one file --------------------------------------------------------------------------------------------------------


def pack(run: PlanRun, plan: Plan, evidence: Mapping[str, Mapping[str, Any]], now: Mapping[str, Any]) -> bytes:
    """A ZIP: a page to read, the run, the timeline, and what was collected, metrics and logs as tables.

    ``now``: what is known at this moment; not used where the end was collected. Same input, same bytes.
    """
    latest = evidence.get("end") or now
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _put(archive, "index.html", page(run, plan, latest))
        _put(archive, "run.json", _json({**latest["run"], "evidence": sorted(evidence)}))
        _put(archive, "timeline.csv", _table(("at", "kind", "subject_id", "old_state", "new_state", "actor", "reason"),
                                             latest["timeline"]))  # fmt: skip
        for moment, body in sorted({**evidence, **({} if "end" in evidence else {"now": now})}.items()):
            _put(archive, f"{moment}/evidence.json", _json(body))
            for number, one in enumerate(body["metrics"]):
                _put(archive, f"{moment}/metric-{number + 1}.csv", _series(one))
            for number, one in enumerate(body["logs"]):
                _put(archive, f"{moment}/logs-{number + 1}.csv", _table(("time_ms", "severity", "text"), one["found"]))
    return out.getvalue()


def _put(archive: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, text.encode())


def _json(found: Mapping[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True)


def _table(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    """No spreadsheet takes it for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _series(one: Mapping[str, Any]) -> str:
    times = sorted({point[0] for series in one["series"] for point in series["points"]})
    columns = [dict(series["points"]) for series in one["series"]]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["time_ms", *(_cell(series["name"]) for series in one["series"])])
    for at in times:
        values = [column.get(at) for column in columns]
        writer.writerow([at, *("" if value is None else value for value in values)])
    return out.getvalue()
