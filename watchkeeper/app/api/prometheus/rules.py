"""Rules and alerts as Prometheus shows them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from rules.alerts import Active, RuleHealth
from rules.book import AlertRule, Group, Rule
from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.answers import (
    Parameters,
    engine_of,
    first,
    flag,
    quoted,
    rfc3339,
    success,
    whole,
)
from watchkeeper.app.api.prometheus.series import matchers
from watchkeeper.app.pipeline.judge import Judging, Ran, group_key, shown_file
from watchkeeper.errors import QueryError
from watchkeeper.model import Alert, AlertState, Matcher
from watchkeeper.promql import format_value
from watchkeeper.promql.matching import matches

router = APIRouter(prefix="/api/v1", dependencies=[Depends(read)])

#: States of alerts that are there; one that could not be evaluated is what it was.
THERE = (AlertState.PENDING, AlertState.FIRING, AlertState.UNKNOWN)
#: ``type`` of the request, and the types of rules it keeps.
TYPES = {"": ("alerting", "recording"), "alert": ("alerting",), "record": ("recording",)}


@router.get("/rules")
def rules(request: Request, found: Parameters) -> Response:
    kind = first(found, "type")
    if kind not in TYPES:
        raise QueryError(f'invalid parameter "type": not supported value {quoted(kind)}')
    wanted, with_alerts = matchers(found), not flag(found, "exclude_alerts")
    groups = []
    for group in _groups(engine_of(request).judging, found):
        rows = [row for row in group["rules"] if row["type"] in TYPES[kind] and _named(row, found, wanted)]
        if rows:
            groups.append({**group, "rules": rows if with_alerts else [_without_alerts(row) for row in rows]})
        elif not (kind or wanted or found.get("rule_name[]")):
            groups.append(group)
    return success(_page(groups, found))


@router.get("/alerts")
def alerts(request: Request) -> Response:
    with engine_of(request).state.read() as unit:
        rows = unit.alerts.open()
    return success({"alerts": [_alert(row, firing=row.fired_at is not None) for row in rows if row.state in THERE]})


@router.get("/alertmanagers")
def alertmanagers() -> Response:
    """There are none: Watchkeeper tells people itself."""
    return success({"activeAlertmanagers": [], "droppedAlertmanagers": []})


@router.get("/notifications")
def notifications() -> Response:
    """What Prometheus warns its operators of by this way; here alerts and messages do."""
    return success([])


def _groups(judging: Judging, found: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    health, active = judging.evaluator.health(), dict[str, list[Active]]()
    for rule, one in judging.evaluator.active():
        active.setdefault(rule.key, []).append(one)
    files, names = found.get("file[]"), found.get("rule_group[]")
    for group in sorted(judging.book.groups, key=lambda one: (shown_file(one.file), one.name)):
        if (files and shown_file(group.file) not in files) or (names and group.name not in names):
            continue
        ran = judging.ran.get(group_key(group), Ran())
        yield {
            "name": group.name,
            "file": shown_file(group.file),
            "rules": [_rule(rule, group, health[rule.key], active.get(rule.key, [])) for rule in group.rules],
            "interval": group.interval.total_seconds(),
            "limit": group.limit,
            "evaluationTime": ran.seconds,
            "lastEvaluation": rfc3339(ran.at),
        }


def _rule(rule: Rule, group: Group, health: RuleHealth, active: Sequence[Active]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "labels": {**group.labels, **rule.labels},
        "health": health.health,
        "evaluationTime": health.seconds,
        "lastEvaluation": rfc3339(health.at),
    }
    if health.error:
        row["lastError"] = health.error
    if not isinstance(rule, AlertRule):
        return {**row, "type": "recording"}
    return {
        "state": _state(active),
        **row,
        "duration": rule.hold.total_seconds(),
        "keepFiringFor": rule.keep_firing_for.total_seconds(),
        "annotations": dict(rule.annotations),
        "alerts": [_alert(one, firing=one.firing) for one in active],
        "type": "alerting",
    }


def _state(active: Sequence[Active]) -> str:
    """The most serious of its alerts; one that could not be evaluated is what it was."""
    if not active:
        return "inactive"
    return "firing" if any(one.firing for one in active) else "pending"


def _alert(one: Active | Alert, *, firing: bool) -> dict[str, Any]:
    row = {
        "labels": dict(one.labels),
        "annotations": dict(one.annotations),
        "state": AlertState.FIRING if firing else AlertState.PENDING,
        "activeAt": rfc3339(one.active_at),
        "value": scientific(one.value),
    }
    since = one.keep_firing_since
    return row if since is None else {**row, "keepFiringSince": rfc3339(since)}


def scientific(value: float) -> str:
    """As Prometheus writes the value of an alert: 1.5e+01."""
    if not math.isfinite(value):
        return format_value(value)
    return np.format_float_scientific(value, trim="-", exp_digits=2)


def _named(row: Mapping[str, Any], found: dict[str, list[str]], wanted: Sequence[Sequence[Matcher]]) -> bool:
    names = found.get("rule_name[]")
    if names and row["name"] not in names:
        return False
    return not wanted or any(_fits(row["labels"], group) for group in wanted)


def _fits(labels: Mapping[str, str], group: Sequence[Matcher]) -> bool:
    """Labels with a template in them are not what they say: Prometheus leaves them out too."""
    plain = {name: value for name, value in labels.items() if "{{" not in value}
    return all(matches(one, [plain.get(one.name, "")])[0] for one in group)


def _without_alerts(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "alerts": []} if row["type"] == "alerting" else row


# --- pages -----------------------------------------------------------------------------------------------------------


def _page(groups: Sequence[dict[str, Any]], found: dict[str, list[str]]) -> dict[str, Any]:
    """All groups, or ``group_limit`` of them from ``group_next_token`` on and the token of the rest."""
    limit, token = whole(found, "group_limit"), first(found, "group_next_token")
    if token and not limit:
        raise QueryError(
            'invalid parameter "group_limit": group_limit needs to be set in order to paginate over the groups'
        )
    start = 0
    if token:
        places = [place for place, group in enumerate(groups) if _token(group) == token]
        if not places:
            raise QueryError(f'invalid parameter "group_next_token": invalid group_next_token {quoted(token)}')
        start = places[0]
    end = start + limit if limit else len(groups)
    page: dict[str, Any] = {"groups": list(groups[start:end])}
    if end < len(groups):
        page["groupNextToken"] = _token(groups[end])
    return page


def _token(group: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{group['file']};{group['name']}".encode()).hexdigest()[:40]
