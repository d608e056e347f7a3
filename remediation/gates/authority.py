"""Gates 13 to 15: who agreed, who holds the lock, and is it written down?"""

from __future__ import annotations

from remediation.approval import Need, approvers, needed, rejected_by
from remediation.scaling import bounded
from remediation.situation import Situation
from watchkeeper.model import RiskClass, Verdict

from .base import passed, refused


def need_of(s: Situation) -> Need:
    """How many people must agree to this plan."""
    earned = s.graduated or (s.declared and s.plan.risk in (RiskClass.A1, RiskClass.A2))
    small = s.impact.total < s.settings.small_pool and s.link is None
    return needed(
        s.plan.risk,
        s.severity,
        s.plan.mode,
        earned=earned,
        small_pool=small,
        person_asked=s.requester != s.rule.name,
        bounded=s.declared and bounded(s),
    )


def approval(s: Situation) -> Verdict:
    """Gate 13: as many people as the table says, for this very plan. ``answer`` tells what a refusal means."""
    need, digest = need_of(s), s.plan.digest()
    if need.answer:
        reason = "this class is refused at this severity" if need.answer == "refused" else "only a person may do this"
        return refused("approval", reason, answer=need.answer)
    if user := rejected_by(s.approvals, digest):
        return refused("approval", f"rejected by {user}", answer="rejected")
    have = approvers(s.approvals, digest, s.requester, s.now, s.settings.approval_lifetime)
    if len(have) < need.people:
        return refused(
            "approval", f"{len(have)} of {need.people} people approved", answer="wait", needs=need.people, have=have
        )
    return passed("approval", needs=need.people, have=have, declared=s.declared, graduated=s.graduated)


def lock(s: Situation) -> Verdict:
    """Gate 14: this engine leads, and nothing else is under way on the target or its service."""
    if not s.leader:
        return refused("lock", "another engine holds the lease")
    names = {target.name for target in s.plan.targets}
    for other in s.in_flight:
        if other.target in names or (s.rule.service and other.service == s.rule.service):
            return refused("lock", f"{other.action_id} is under way on {other.target}")
    return passed("lock")


def intent(s: Situation) -> Verdict:
    """Gate 15: the intent is a committed row of exactly this plan, and its key was never used before."""
    if s.intent is None:
        return refused("intent", "the intent is not committed")
    if s.intent.plan_hash != s.plan.digest() or s.intent.action_id != s.action_id:
        return refused("intent", "the committed intent is of another plan")
    if s.intent.idempotency_key in s.used_keys:
        return refused("intent", "this very plan was committed before")
    return passed("intent", token=s.intent.token)
