"""From the first sign to a decision: observed, confirming, proposed, awaiting approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from remediation import book, confirm, hindsight
from remediation.approval import approvers, rejected_by
from remediation.gates import all_passed, evaluate
from remediation.gates.authority import need_of
from remediation.gates.evidence import cut_off, heard
from remediation.predict import objections
from remediation.run import AGAIN, Run, same_change, verdicts_json
from remediation.scaling import scaled_enough
from remediation.situation import Situation
from remediation.survey import no_plan, plan_now, situation_of
from watchkeeper.model import ActionRecord, ActionState, Mode, RemedyRule, Verdict

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

S = ActionState


def later(moment: datetime, by: timedelta) -> str:
    return (moment + by).isoformat()


async def observed(run: Run, record: ActionRecord) -> ActionRecord:
    seen = "bad once" if record.requester == record.plan.rule else "asked for"
    return await run.move(record, S.CONFIRMING, seen, progress={"deadline": later(run.tick.now, run.settings.deadline)})


async def confirming(run: Run, record: ActionRecord) -> ActionRecord | None:
    """Leaves when ten were good; proposes when k of n were bad for two observers, or when time is up and it is bad."""
    rule = run.rule_of(record)
    history = run.history(record.plan.rule)
    if rule is None:
        return await run.move(record, S.CLEARED, "the rule is gone")
    waived = "confirmed" in _waived(record)  # a person wants it, bad or not
    if confirm.cleared(history.seen) and not waived:
        return await run.move(record, S.CLEARED, f"good {confirm.LEAVE_AFTER} times in a row")
    sure = confirm.confirmed(history.seen, rule.confirm_k, rule.confirm_n) or waived
    bad = history.newest is not None and history.newest.bad is True
    over = run.past(record, "deadline")
    if over and not bad:
        return await run.move(record, S.CLEARED, "never confirmed")
    if over or (sure and _calm(run, rule) and _heard(run, rule)):
        return await _propose(run, record, rule)
    return await _blind(run, record, rule)


def _calm(run: Run, rule: RemedyRule) -> bool:
    """Taking workers away waits until idle was known, without a gap, for the time of stabilisation."""
    if rule.scale is None or rule.scale.direction != "in":
        return True
    since = run.history(rule.name).idle_since
    return since is not None and run.tick.now - since >= run.settings.scale_in_after


def _heard(run: Run, rule: RemedyRule) -> bool:
    """Canaries slower than the rule are waited for: gate 4 would refuse, and hold the rule back."""
    facts = run.facts
    return heard(run.settings.canaries, facts.canaries, facts.asked, run.history(rule.name).onset)


async def _blind(run: Run, record: ActionRecord, rule: RemedyRule) -> ActionRecord | None:
    """Bad by the rule alone while we reach nothing else either: people are told that we are cut off, at once.

    Other observers would only be unknown until the deadline, and nothing would be said all the while.
    """
    if confirm.RULE not in confirm.agreeing(run.history(rule.name).seen, rule.confirm_k, rule.confirm_n):
        return None
    facts = run.facts
    verdict = cut_off(rule.service, run.settings.canaries, facts.canaries, facts.watched)
    if verdict.passed:
        return None
    record = _adopted(run, record, rule)
    record = await run.move(record, S.PROPOSED, "bad, and nothing else is reached either", plan=record.plan)
    return await suppress(run, record, verdict, {"verdicts": verdicts_json([verdict])})


def _waived(record: ActionRecord) -> list[str]:
    waived = record.progress.get("waived")
    return [str(gate) for gate in waived] if isinstance(waived, list) else []


def _adopted(run: Run, record: ActionRecord, rule: RemedyRule) -> ActionRecord:
    """The first sign is often seen before the alert fires: the incident that is open by now is the action's."""
    incident = None if record.plan.incident_id else run.incident(rule)
    if incident is None:
        return record
    return replace(
        record,
        plan=replace(record.plan, incident_id=incident.id),
        correlation_id=incident.correlation_id or record.correlation_id,
        progress={**record.progress, "severity": incident.severity.value},
    )


async def _propose(run: Run, record: ActionRecord, rule: RemedyRule) -> ActionRecord:
    record = _adopted(run, record, rule)
    planned = await plan_now(run, record, rule)
    if enough := scaled_enough(rule, planned):
        return await run.move(record, S.CLEARED, enough)
    history = run.history(rule.name)
    voices = confirm.agreeing(history.seen, rule.confirm_k, rule.confirm_n)
    plan = replace(planned.plan, reason=confirm.why(rule, planned.plan.reason, voices))
    progress = {"impact": dict(planned.plan.evidence).get("impact"), "problem": planned.impact.problem}
    return await run.move(
        record,
        S.PROPOSED,
        plan.reason,
        plan=plan,
        progress={**progress, "deadline": later(run.tick.now, run.settings.deadline)},
        evidence={**plan.evidence, "voices": voices},
    )


async def proposed(run: Run, record: ActionRecord) -> ActionRecord:
    """Asks gates 1 to 13."""
    rule = run.rule_of(record)
    if rule is None:
        return await run.move(record, S.SUPPRESSED, "switch: the rule is gone")
    planned = await plan_now(run, record, rule)
    if not same_change(planned.plan, record.plan):
        why = no_plan(planned)
        gate, why = (
            ("precondition", why) if why else ("drift", "the target or the rule changed while the plan was made")
        )
        return await suppress(run, record, Verdict(gate=gate, passed=False, reason=why), {})
    situation = await situation_of(run, record, rule, replace(planned, plan=record.plan))
    verdicts = evaluate(situation, last="approval")
    final = verdicts[-1]
    gates = {
        "verdicts": verdicts_json(verdicts),
        "needs": need_of(situation).people,
        "objections": objections(situation),
    }
    if not final.passed and (final.gate != "approval" or final.evidence.get("answer") == "refused"):
        return await suppress(run, record, final, gates)
    if final.evidence.get("answer") == "suggest" or record.plan.mode is Mode.SUGGEST:
        ended = await run.move(
            record,
            S.SUGGESTED,
            "a person may do this",
            progress=gates,
            evidence=gates,
            also=lambda unit: hindsight.remember(unit, run, record, rule),
        )
        run.tell("suggested", ended, final.reason)
        return ended
    if record.plan.mode is Mode.DRY_RUN:
        return await _dry_run(run, record, rule, gates)
    run.tell("proposed", record, record.plan.reason)
    if not all_passed(verdicts):
        return await _ask(run, record, situation, gates)
    return await run.move(record, S.ARMED, _why_allowed(situation), progress=gates, evidence=gates)


def _why_allowed(situation: Situation) -> str:
    if situation.declared:
        return "thirteen gates passed; declared automatic by its owner"
    return f"thirteen gates passed{'; graduated' if situation.graduated else ''}"


async def suppress(run: Run, record: ActionRecord, verdict: Verdict, gates: dict[str, object]) -> ActionRecord:
    run.counts[f"refused:{verdict.gate}"] += 1
    reason = f"{verdict.gate}: {verdict.reason}"
    about_us = {AGAIN: True} if run.isolated(record.plan.rule) and verdict.gate == "isolation" else {}
    progress = {**gates, "gate": verdict.gate, **about_us}
    ended = await run.move(record, S.SUPPRESSED, reason, progress=progress, evidence=gates)
    run.tell("suppressed", ended, reason, page=verdict.gate in ("breaker", "common_cause"), gate=verdict.gate)
    return ended


async def _dry_run(run: Run, record: ActionRecord, rule: RemedyRule, gates: dict[str, object]) -> ActionRecord:

    def also(unit: Unit) -> None:
        book.tally(unit, rule.name, rule.version, run.tick.now, proposals=1)
        hindsight.remember(unit, run, record, rule)

    reason = "dry-run: this would have been done"
    ended = await run.move(record, S.DRY_RUN, reason, progress=gates, evidence=gates, also=also)
    run.tell("dry_run", ended, record.plan.reason)
    return ended


async def _ask(run: Run, record: ActionRecord, situation: Situation, gates: dict[str, object]) -> ActionRecord:
    people = need_of(situation).people
    moved = await run.move(
        record,
        S.AWAITING_APPROVAL,
        f"{people} of other people must approve",
        progress={**gates, "approval_until": later(run.tick.now, run.settings.approval_lifetime)},
        evidence=gates,
    )
    run.tell("needs_approval", moved, record.plan.reason, needs=people)
    return moved


async def awaiting_approval(run: Run, record: ActionRecord) -> ActionRecord | None:
    """Time out is expiry, never execution."""
    rule = run.rule_of(record)
    approvals = await run.read(lambda unit: book.words(unit, record.id))
    if user := rejected_by(approvals, record.plan.digest()):
        run.counts["refused:approval"] += 1
        ended = await run.move(record, S.REJECTED, f"rejected by {user}")
        run.tell("rejected", ended, f"rejected by {user}")
        return ended
    if run.past(record, "approval_until") or rule is None:
        return await _expire(run, record, "nobody approved in time", page=True)
    if confirm.cleared(run.history(rule.name).seen) and "confirmed" not in _waived(record):
        return await _expire(run, record, "the symptom is gone")
    needs = int(str(record.progress.get("needs", 1)))
    lifetime = run.settings.approval_lifetime
    yes = approvers(approvals, record.plan.digest(), record.requester, run.tick.now, lifetime)  # as gate 13 counts
    if len(yes) < needs:
        return None
    return await run.move(
        record, S.ARMED, f"approved by {', '.join(sorted(yes))}", evidence={"approved_by": sorted(yes)}
    )


async def _expire(run: Run, record: ActionRecord, reason: str, *, page: bool = False) -> ActionRecord:
    run.counts["refused:approval"] += 1
    ended = await run.move(record, S.EXPIRED, reason)
    run.tell("escalated" if page else "aborted", ended, reason, page=page)
    return ended
