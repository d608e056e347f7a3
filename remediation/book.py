"""What the state database knows about targets, effects and ends: read before gates, written with transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from watchkeeper.model import ActionRecord, ActionState, Approval, Plan
from watchkeeper.ports import Reading

from .plan import options_in
from .settings import Settings
from .situation import Effect, Ended, InFlight

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

TARGET_KEY = "remediation/target/"
REHEARSED_KEY = "remediation/rehearsed/"
JUDGED_KEY = "remediation/judged/"
DAY = timedelta(days=1)
#: States in which an action holds its target.
HOLDING = frozenset(
    {
        ActionState.ARMED,
        ActionState.INTENT_COMMITTED,
        ActionState.EXECUTING,
        ActionState.UNKNOWN,
        ActionState.RECONCILING,
        ActionState.VERIFYING,
        ActionState.FAILED,
        ActionState.ROLLING_BACK,
    }
)
#: States in which the target is on its way: what is read there now is nobody's finished work.
MOVING = HOLDING - {ActionState.VERIFYING, ActionState.ARMED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A target as last read. An empty epoch means that we changed it and have not looked since."""

    epoch: str = ""
    changes: Sequence[datetime] = ()
    foreign_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "changes": [moment.isoformat() for moment in self.changes],
            "foreign_at": self.foreign_at.isoformat() if self.foreign_at else None,
        }


def seen_of(unit: Unit, target: str) -> Seen | None:
    kept: Mapping[str, Any] | None = unit.documents.get(TARGET_KEY + target)
    if kept is None:
        return None
    return Seen(
        epoch=kept["epoch"],
        changes=tuple(datetime.fromisoformat(moment) for moment in kept["changes"]),
        foreign_at=datetime.fromisoformat(kept["foreign_at"]) if kept["foreign_at"] else None,
    )


def is_news(unit: Unit, target: str, reading: Reading) -> bool:
    """True when ``note_reading`` would write: asked first, so that an unchanged target takes no writer's turn."""
    before = seen_of(unit, target)
    return before is None or before.epoch != reading.epoch


def note_reading(
    unit: Unit, target: str, reading: Reading, now: datetime, settings: Settings, *, ours: bool = False
) -> Seen:
    """Keep what was read; a change that is not ours starts the hold-off."""
    before = seen_of(unit, target)
    if before is not None and before.epoch == reading.epoch:
        return before
    seen = replace(before or Seen(), epoch=reading.epoch)
    if before is not None and options_in(before.epoch) == options_in(reading.epoch):  # else it is another target by now
        recent = [moment for moment in before.changes if now - moment < settings.flap_window]
        foreign = None if ours or not before.epoch else now
        seen = replace(seen, changes=(*recent, now), foreign_at=foreign or before.foreign_at)
        if foreign:
            detail = {"was": before.epoch, "is": reading.epoch, "state": dict(reading.state)}
            unit.audit.append("engine", "target.foreign_change", target, detail, at=now)
    unit.documents.put(TARGET_KEY + target, seen.to_json(), at=now)
    return seen


def expect_own_change(unit: Unit, target: str, now: datetime) -> None:
    """We are about to change it: the next reading is ours whatever it shows."""
    seen = seen_of(unit, target) or Seen()
    unit.documents.put(TARGET_KEY + target, replace(seen, epoch="").to_json(), at=now)


def effects(unit: Unit, now: datetime, settings: Settings) -> list[Effect]:
    """Committed intents of the last day, rehearsals left out."""
    tests = {str(target["test_target"]) for target in settings.targets if target.get("test_target")}
    found = []
    for row in unit.actions.intents_since(now - DAY):
        evidence: Any = row.plan.get("evidence") or {}
        if row.target in tests:
            continue
        found.append(
            Effect(
                at=row.committed_at,
                action_id=row.action_id,
                rule=str(row.plan["rule"]),
                target=row.target,
                operation=row.operation,
                direction=str((evidence.get("impact") or {}).get("direction", "")),
                link=str(evidence.get("link", "")),
            )
        )
    return found


def ended(unit: Unit, now: datetime, window: timedelta) -> list[Ended]:
    """How actions with an effect ended, oldest first."""
    found = []
    for record in unit.actions.effective(now - DAY - window):
        at = record.progress.get("ended_at")
        if at and record.state is not ActionState.ABORTED:
            found.append(
                Ended(
                    at=datetime.fromisoformat(str(at)),
                    rule=record.plan.rule,
                    target=target_of(record.plan),
                    ok=record.state is ActionState.SUCCEEDED,
                    rollback_failed=bool(record.progress.get("rollback_failed")),
                )
            )
    return sorted(found, key=lambda end: end.at)


def in_flight(active: Sequence[ActionRecord], but: str) -> list[InFlight]:
    return [
        InFlight(
            action_id=record.id,
            rule=record.plan.rule,
            target=target_of(record.plan),
            service=str(record.plan.evidence.get("service", "")),
        )
        for record in active
        if record.id != but and record.state in HOLDING
    ]


def generation(unit: Unit, target: str, now: datetime) -> int:
    """The newest fencing token on the target, 0 for none in a day: its own epoch tells older ones apart."""
    return max((row.token for row in unit.actions.intents_since(now - DAY) if row.target == target), default=0)


def target_of(plan: Plan) -> str:
    return plan.targets[0].name if plan.targets else ""


def words(unit: Unit, action_id: str) -> list[Approval]:
    """What people said of an action. Whoever was switched off since then agrees to nothing; a no stays one."""
    said = unit.actions.approvals(action_id)
    gone = {user.name for user in unit.people.users() if user.disabled} if said else set()
    return [one for one in said if one.verdict == "reject" or one.user not in gone]


def declared(unit: Unit, rule: str, now: datetime) -> bool:
    row = unit.actions.declaration(rule)
    return row is not None and row.fallen_at is None and row.declared_at <= now < row.expires_at


def graduated(unit: Unit, rule: str, version: str, now: datetime, settings: Settings) -> bool:
    """Proposed often and long enough in dry-run, and judged right by people."""
    kept: Mapping[str, Any] = unit.documents.get(JUDGED_KEY + rule) or {}
    if kept.get("version") != version or not kept.get("since"):
        return False
    judged = kept["right"] + kept["wrong"] + kept["harmful"]
    return bool(
        now - datetime.fromisoformat(kept["since"]) >= settings.graduation_days
        and kept["proposals"] >= settings.graduation_proposals
        and kept["harmful"] == 0
        and judged >= settings.graduation_proposals
        and kept["right"] >= settings.graduation_right * judged
    )


def tally(unit: Unit, rule: str, version: str, now: datetime, **more: int) -> None:
    """Count proposals in dry-run and what people thought of them; a new version of the rule starts anew."""
    kept: dict[str, Any] = unit.documents.get(JUDGED_KEY + rule) or {}
    if kept.get("version") != version:
        kept = {"version": version, "since": now.isoformat(), "proposals": 0, "right": 0, "wrong": 0, "harmful": 0}
    unit.documents.put(
        JUDGED_KEY + rule, {**kept, **{name: kept[name] + count for name, count in more.items()}}, at=now
    )


def fall(unit: Unit, rule: str, now: datetime, reason: str) -> None:
    """After a rollback a rule acts by itself no more, neither declared nor graduated."""
    unit.documents.remove(JUDGED_KEY + rule)
    row = unit.actions.declaration(rule)
    if row is not None and row.fallen_at is None:
        unit.actions.declare(replace(row, fallen_at=now))
        unit.audit.append("engine", "declaration.fallen", rule, {"reason": reason}, at=now)


LINK_KEY = "remediation/link/"
#: Document of a link that a person pinned: side, user, reason.
PIN_KEY = "remediation/pin/"


def link_served(
    unit: Unit, plan: Plan, settings: Settings, now: datetime, *, back: bool = False, severity: object = None
) -> None:
    """Keep which side of a dual link serves after this plan, or after it was rolled back, and how bad it was.

    A change of side within ``flap_window`` of the one before is counted as a flap.
    """
    link = settings.link(str(plan.evidence.get("link", "")))
    if link is None:
        return
    impact = plan.evidence.get("impact")
    to_backup = isinstance(impact, Mapping) and impact.get("direction") == f"switch:{link.backup}"
    side = "backup" if to_backup != back else "primary"
    kept: Mapping[str, Any] = unit.documents.get(LINK_KEY + link.name) or {}
    counts = {"switches": int(kept.get("switches", 0)), "flaps": int(kept.get("flaps", 0))}
    if kept.get("side", "primary") != side:
        counts["switches"] += 1
        counts["flaps"] += "since" in kept and now - datetime.fromisoformat(kept["since"]) < settings.flap_window
    document = {"side": side, "since": now.isoformat(), "severity": severity, **counts}
    unit.documents.put(LINK_KEY + link.name, document, at=now)


def link_counts(unit: Unit, link: str) -> tuple[int, int]:
    """(changes of side ever, those of them that were flaps)."""
    kept: Mapping[str, Any] = unit.documents.get(LINK_KEY + link) or {}
    return int(kept.get("switches", 0)), int(kept.get("flaps", 0))


def switched_for(unit: Unit, link: str) -> str | None:
    """Severity of what the link was switched for: the way back is part of the same trouble."""
    kept: Mapping[str, Any] = unit.documents.get(LINK_KEY + link) or {}
    found = kept.get("severity")
    return str(found) if found else None
