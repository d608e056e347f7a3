"""How fast people and machine find, answer and mend: MTTD, MTTA, MTTR and the automation rate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median

from watchkeeper.model import Incident

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean duration with the number it rests on; NaN when it rests on none."""

    seconds: float
    median_seconds: float
    count: int
    left_out: int  #: incidents for which this time is not known (yet)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Means over incidents opened in a period."""

    incidents: int
    mttd: Mean  #: fault began -> incident opened
    mtta: Mean  #: opened -> acknowledged
    mttr: Mean  #: opened -> resolved
    answered_in_time_ratio: float  #: of those whose clock one has run out or was met; NaN when there are none


def reliability(incidents: Sequence[Incident], now: datetime) -> Reliability:
    """MTTD needs to know when the fault began: ``details["began_at"]``, an aware datetime or ISO text."""
    return Reliability(
        incidents=len(incidents),
        mttd=mean_of(_between(_began_at(one), one.opened_at) for one in incidents),
        mtta=mean_of(_between(one.opened_at, one.acknowledged_at) for one in incidents),
        mttr=mean_of(_between(one.opened_at, one.resolved_at) for one in incidents),
        answered_in_time_ratio=_in_time(incidents, now),
    )


def _began_at(incident: Incident) -> datetime | None:
    began = incident.details.get("began_at")
    if isinstance(began, str):
        began = datetime.fromisoformat(began)
    return began if isinstance(began, datetime) else None


def _between(start: datetime | None, end: datetime | None) -> timedelta | None:
    return None if start is None or end is None else max(timedelta(0), end - start)


def mean_of(durations: Iterable[timedelta | None]) -> Mean:
    """Mean and median of what is known, with the count of what is not."""
    every = list(durations)
    seconds = [one.total_seconds() for one in every if one is not None]
    if not seconds:
        return Mean(seconds=NAN, median_seconds=NAN, count=0, left_out=len(every))
    return Mean(
        seconds=fmean(seconds), median_seconds=median(seconds), count=len(seconds), left_out=len(every) - len(seconds)
    )


def _in_time(incidents: Sequence[Incident], now: datetime) -> float:
    """An incident nobody answered counts as late once its clock has run out, and not at all before."""
    verdicts = []
    for one in incidents:
        if one.respond_by is None:
            continue
        if one.acknowledged_at is not None:
            verdicts.append(one.acknowledged_at <= one.respond_by)
        elif now > one.respond_by:
            verdicts.append(False)
    return sum(verdicts) / len(verdicts) if verdicts else NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """Effects without a human / all effects plus recorded manual fixes; NaN when nothing was done at all."""

    without_human: int
    with_human: int
    manual_fixes: int

    @property
    def rate(self) -> float:
        every = self.without_human + self.with_human + self.manual_fixes
        return self.without_human / every if every else NAN


def automation(effects: Collection[str], approved: Collection[str], manual_fixes: int = 0) -> Automation:
    """From ids of actions that took effect and ids that a person approved: those are not automatic, however fast."""
    with_human = len(set(effects) & set(approved))
    return Automation(without_human=len(set(effects)) - with_human, with_human=with_human, manual_fixes=manual_fixes)
