"""Was it right to act? What a plan predicted beside what happened, and how much is done without a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import AccessError
from watchkeeper.model import Plan
from watchkeeper.ports import Reading

from .predict import measured
from .situation import Query

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

#: Fixes that people made by hand and told us of.
FIX_KEY = "remediation/fix/"
#: Over how long the share of automatic effects is taken.
RECORD_OF = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """Effects of the last ``RECORD_OF``, by who had to do something for them."""

    automatic: int  #: nobody was asked
    approved: int  #: somebody agreed
    asked: int  #: somebody asked for it by hand
    by_hand: int  #: done without us, and recorded

    @property
    def rate(self) -> float | None:
        """Effects without a person among all effects and fixes by hand; None while there are none."""
        total = self.automatic + self.approved + self.asked + self.by_hand
        return self.automatic / total if total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """Of the plans that were carried out and judged: so many did what they had said."""

    as_predicted: int
    otherwise: int
    error: float | None  #: mean share by which figures were worse than said; better ones count as 0, None: none known


def compared(plan: Plan, reading: Reading, *, reached: bool) -> dict[str, object]:
    """What the plan said of its target, what is there at the first verdict, and whether that is the same."""
    impact: Any = plan.evidence.get("impact") or {}
    expected, found = impact.get("healthy_after"), reading.capacity.get("healthy")
    fewer = expected is not None and found is not None and found < expected
    return {
        "predicted": {"healthy": expected, "touched": list(impact.get("touched", ())), "symptom": "gone"},
        "happened": {"healthy": found, "reached": reached, "symptom": "gone"},
        "as_predicted": reached and not fewer,
    }


def with_figures(plan: Plan, seen: Mapping[str, Any], query: Query, at: datetime) -> dict[str, object]:
    """``seen``: the comparison so far. Every metric of the prediction is measured now and added, worst error first."""
    said: Any = plan.evidence.get("prediction") or {}
    figures: Any = measured(said, query, at)["metrics"]
    errors = [one["error"] for one in figures if one["error"] is not None]
    symptom = dict(seen.get("happened") or {}).get("symptom")
    gone_before = said.get("symptom_before") is False
    found = {
        "happened": {
            **(seen.get("happened") or {}),
            "metrics": figures,
            "moved": None if gone_before else symptom == "gone",  # what was not there cannot be moved
        },
        "prediction_error": max(errors) if errors else None,
    }
    if "as_predicted" in seen:
        return {**found, "as_predicted": seen["as_predicted"] and all(one["kept"] is not False for one in figures)}
    return found


def automation(unit: Unit, now: datetime) -> Automation:
    automatic = approved = asked = 0
    for record in unit.actions.effective(now - RECORD_OF):
        if record.requester != record.plan.rule:
            asked += 1
        elif any(word.verdict == "approve" for word in unit.actions.approvals(record.id)):
            approved += 1
        else:
            automatic += 1
    kept: Mapping[str, Mapping[str, Any]] = unit.documents.with_prefix(FIX_KEY)
    by_hand = sum(datetime.fromisoformat(fix["at"]) > now - RECORD_OF for fix in kept.values())
    return Automation(automatic=automatic, approved=approved, asked=asked, by_hand=by_hand)


def foresight(unit: Unit, now: datetime) -> dict[str, Foresight]:
    """Rule -> how often its plans did what they said, and by how much their figures were worse than that."""
    kept: dict[str, list[Mapping[str, Any]]] = {}
    for record in unit.actions.effective(now - RECORD_OF):
        if "as_predicted" in record.progress:
            kept.setdefault(record.plan.rule, []).append(record.progress)
    return {rule: _foresight(rows) for rule, rows in sorted(kept.items())}


def _foresight(rows: Sequence[Mapping[str, Any]]) -> Foresight:
    right = sum(row["as_predicted"] is True for row in rows)
    errors = [max(row["prediction_error"], 0.0) for row in rows if row.get("prediction_error") is not None]
    mean = sum(errors) / len(errors) if errors else None
    return Foresight(as_predicted=right, otherwise=len(rows) - right, error=mean)


def record_fix(unit: Unit, user: str, service: str, what: str, now: datetime) -> str:
    """A person mended something without us: it counts against the share of automatic effects."""
    if not what.strip():
        raise AccessError("say what was done")
    number = len(unit.documents.with_prefix(FIX_KEY)) + 1
    fix = {"by": user, "service": service, "what": what, "at": now.isoformat()}
    unit.documents.put(f"{FIX_KEY}{number:08d}", fix, at=now)
    unit.audit.append(user, "fix.recorded", service or "estate", {"what": what}, at=now)
    return f"fix-{number}"
