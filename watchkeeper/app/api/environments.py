"""Whose environment: users who may change something of some environments only (``access.environments``).

Asked by the one guard of every route. What a request changes is looked up by the ids in its path; whatever has no known
environment counts as PROD, and so does what belongs to no service, such as users, rules and plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastapi import Request

from watchkeeper.access import ForbiddenError, Permission, Principal
from watchkeeper.app.engine import Engine
from watchkeeper.model import MatchOp, RemedyRule
from watchkeeper.store.state import Unit

#: Permissions to change what belongs to an environment. Reading, samples, reports and stopping everything are not.
BOUND = frozenset(
    {
        Permission.ACKNOWLEDGE,
        Permission.SILENCE,
        Permission.APPROVE_REVERSIBLE,
        Permission.APPROVE_RISKY,
        Permission.KILL_SWITCH_CLEAR,
        Permission.MANAGE_USERS,
        Permission.MANAGE_RULES,
    }
)
#: The chain is read, by POST because that takes long.
READING = "/api/wk/audit/verify"
#: A new silence has no id yet: its route asks ``within`` with the matchers of its body.
BY_BODY = "/api/wk/silences"
#: What counts where nobody says.
UNKNOWN = "PROD"
ENVIRONMENTS = frozenset({"DEV", "TEST", "STAGING", "PROD"})

Found = set[str]


def check(request: Request, caller: Principal, permission: Permission) -> None:
    """Raises ForbiddenError when the request changes something of an environment that is not the caller's."""
    engine: Engine = request.app.state.engine
    if permission not in BOUND or request.method == "GET" or request.url.path in (READING, BY_BODY):
        return
    if engine.config.access.limits(caller.name):
        ids = {name: str(value) for name, value in request.path_params.items()}
        with engine.state.read() as unit:
            found = _of_ids(engine, unit, ids)
        within(engine, caller, found, f"{request.method} {request.url.path}")


def strangers(engine: Engine) -> list[str]:
    """Names in ``access.environments`` that no account has: a misspelt one limits nobody."""
    with engine.state.read() as unit:
        known = {one.name.casefold() for one in unit.people.users()}
    return sorted(name for name in engine.config.access.environments if name.casefold() not in known)


def within(engine: Engine, caller: Principal, environments: Iterable[str], what: str) -> None:
    """The same for known environments; none at all is unknown. A refusal is a row of the audit."""
    limits = engine.config.access.limits(caller.name)
    strange = sorted(({*environments} or {UNKNOWN}) - limits)
    if not limits or not strange:
        return
    detail = {"environments": strange, "allowed": sorted(limits)}
    with engine.state.begin() as unit:
        unit.audit.append(caller.name, "refuse_environment", what[:200], detail, at=engine.clock.now())
    raise ForbiddenError(f"{caller.name} may change {', '.join(sorted(limits))} only; this is {', '.join(strange)}")


def of_service(engine: Engine, service: str) -> str:
    """As the catalogue has it."""
    said = {one.environment for one in engine.cataloguing.all_services if one.name == service}
    return said.pop() if len(said) == 1 and said <= ENVIRONMENTS else UNKNOWN


def of_matchers(engine: Engine, matchers: Iterable[Sequence[str]]) -> Found:
    """Of a silence: what it names by ``=``; a pattern could mean anything."""
    named = {name: value for name, op, value in matchers if op == MatchOp.EQUAL}
    found = {of_service(engine, named["service"])} if "service" in named else set()
    if "environment" in named:
        found.add(_known(named["environment"]))
    return found


def _of_ids(engine: Engine, unit: Unit, ids: Mapping[str, str]) -> Found:
    """Of the one thing that a path names; nothing for a path of which nobody said how to look it up."""
    name, value = next(iter(ids.items())) if len(ids) == 1 else ("", "")
    match name:
        case "incident_id":
            return _of_incident(engine, unit, value)
        case "action_id":
            return _of_action(engine, unit, value)
        case "rule":
            return _of_rules(engine, [one for one in engine.judging.book.remedies if one.name == value])
        case "link":
            return _of_rules(engine, [one for one in engine.judging.book.remedies if one.link == value])
        case "silence_id":
            silences = unit.incidents.silences(engine.clock.now())
            return {one for row in silences if row.id == value for one in of_matchers(engine, row.matchers)}
    return set()


def _of_incident(engine: Engine, unit: Unit, incident_id: str) -> Found:
    """Of every alert of it, by service and by label: the most that it touches."""
    alerts = unit.alerts.of_incident(incident_id)
    found = {of_service(engine, one.labels.get("service", "")) for one in alerts}
    return found | {_known(one.labels["environment"]) for one in alerts if "environment" in one.labels}


def _of_action(engine: Engine, unit: Unit, action_id: str) -> Found:
    row = unit.actions.get(action_id)
    if row is None:
        return set()
    found = _of_rules(engine, [one for one in engine.judging.book.remedies if one.name == row.plan.rule])
    return (found or {UNKNOWN}) | (_of_incident(engine, unit, row.plan.incident_id) if row.plan.incident_id else set())


def _of_rules(engine: Engine, rules: Iterable[RemedyRule]) -> Found:
    return {of_service(engine, one.service) for one in rules}


def _known(environment: str) -> str:
    return environment if environment in ENVIRONMENTS else UNKNOWN
