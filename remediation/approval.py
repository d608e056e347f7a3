"""Who must agree before an action of a class may run, by severity (the table people sign off on)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from watchkeeper.model import Approval, Mode, RiskClass, Severity


class Cell(StrEnum):
    AUTO = "auto"
    EARNED = "earned"  #: automatic once graduated or declared, else one person
    ONE = "one"
    TWO = "two"
    SUGGEST = "suggest"
    REFUSED = "refused"


_P = (Severity.P0, Severity.P1, Severity.P2, Severity.P3)
TABLE: dict[RiskClass, dict[Severity, Cell]] = {
    RiskClass.A0: dict(zip(_P, (Cell.AUTO, Cell.AUTO, Cell.AUTO, Cell.AUTO), strict=True)),
    RiskClass.A1: dict(zip(_P, (Cell.AUTO, Cell.AUTO, Cell.EARNED, Cell.SUGGEST), strict=True)),
    RiskClass.A2: dict(zip(_P, (Cell.EARNED, Cell.EARNED, Cell.ONE, Cell.SUGGEST), strict=True)),
    RiskClass.A3: dict(zip(_P, (Cell.ONE, Cell.ONE, Cell.ONE, Cell.SUGGEST), strict=True)),
    RiskClass.A4: dict(zip(_P, (Cell.TWO, Cell.TWO, Cell.TWO, Cell.REFUSED), strict=True)),
}
#: Classes whose steps an owner may declare automatic between a minimum and a maximum: scale-out and calm scale-in.
BOUNDED = frozenset({RiskClass.A2, RiskClass.A3})
_PEOPLE = {Cell.AUTO: 0, Cell.ONE: 1, Cell.TWO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """``people`` who must say yes; or an ``answer`` that no approval changes: suggest, refused."""

    people: int
    answer: str = ""


def needed(
    risk: RiskClass,
    severity: Severity,
    mode: Mode,
    *,
    earned: bool,
    small_pool: bool,
    person_asked: bool = False,
    bounded: bool = False,
) -> Need:
    """How many people other than the requester must approve this. ``earned``: graduated, or declared by the owner.

    ``bounded``: a step of a scaling rule inside the minimum and maximum that its owner declared with ``mode: auto``.
    """
    cell = TABLE[risk][severity]
    if cell is Cell.REFUSED:
        return Need(people=0, answer="refused")
    if mode is Mode.SUGGEST or (cell is Cell.SUGGEST and not person_asked):
        return Need(people=0, answer="suggest")
    if cell is Cell.SUGGEST:  # a person asked for it by hand
        return Need(people=1)
    if cell is Cell.EARNED:
        cell = Cell.AUTO if earned else Cell.ONE
    if bounded and mode is Mode.AUTO and not person_asked and risk in BOUNDED:
        cell = Cell.AUTO
    people = _PEOPLE[cell]
    if risk is not RiskClass.A0 and (mode is Mode.APPROVE or small_pool):
        people = max(people, 1)
    return Need(people=people)


def approvers(
    approvals: Sequence[Approval], plan_hash: str, requester: str, now: datetime, lifetime: timedelta
) -> list[str]:
    """Distinct people other than the requester whose yes to this very plan is still valid."""
    return sorted(
        {
            given.user
            for given in approvals
            if given.verdict == "approve"
            and given.plan_hash == plan_hash
            and given.user != requester
            and timedelta(0) <= now - given.at < lifetime
        }
    )


def rejected_by(approvals: Sequence[Approval], plan_hash: str) -> str:
    """The person who said no to this plan, empty for nobody."""
    return next((given.user for given in approvals if given.verdict == "reject" and given.plan_hash == plan_hash), "")
