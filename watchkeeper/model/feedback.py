"""What people say of alarms, what is learned from it, and the incidents that no alarm told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

#: Minutes of a week.
WEEK = 7 * 24 * 60
#: An alarm that is raised so many minutes before or after the hour of the week that was taught is still the same.
BESIDE = 30
#: What is expected may last so long, or as many times what was taught, and never longer than the last.
LEAST_LENGTH, TIMES_LENGTH, MOST_LENGTH = timedelta(hours=1), 2.0, timedelta(hours=12)
#: An anomaly so many times larger than the one that was taught is news.
LARGER = 2.0


class Opinion(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    EXPECTED = "expected"  #: it did happen, it is known, and nobody wants to be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One person's word on one alarm."""

    alarm: str  #: alert-7, or anomaly-<series>-<milliseconds>
    incident: str = ""  #: the incident it belongs to, where it has one
    detector: str  #: kind of detector, or the rule's name
    service: str
    labels: Mapping[str, str]
    opinion: Opinion
    began_at: datetime  #: when what it is about began, as far as is known
    raised_at: datetime
    note: str = ""
    actor: str
    at: datetime
    undone_at: datetime | None = None
    undone_by: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """The same alarm at the same hour of the week is not told, until ``until``."""

    feedback: str
    mark: str  #: fingerprint of the alert, or of the anomaly's series and kind
    title: str
    labels: Mapping[str, str]
    minute: int  #: of the week in ``zone``, 0 is Monday 00:00
    zone: str
    length_seconds: float  #: how long the one that was taught lasted
    change: float | None = None  #: of an anomaly: how far it was from what was expected; None: not known
    created_at: datetime
    until: datetime
    actor: str
    undone_at: datetime | None = None
    undone_by: str = ""
    id: str = ""

    def covers(self, raised_at: datetime, now: datetime, change: float | None = None) -> bool:
        """Whether an alarm of this mark that was raised then is still the expected one now."""
        if not self.created_at <= now < self.until:
            return False
        if now - raised_at > self.longest or not self._same_hour(minute_of_week(raised_at, self.zone)):
            return False
        return not self._larger(change)

    @property
    def longest(self) -> timedelta:
        """What lasts longer is told after all."""
        return min(max(LEAST_LENGTH, TIMES_LENGTH * timedelta(seconds=self.length_seconds)), MOST_LENGTH)

    def _same_hour(self, minute: int) -> bool:
        away = (minute - self.minute) % WEEK
        return minute // 60 == self.minute // 60 or min(away, WEEK - away) <= BESIDE

    def _larger(self, change: float | None) -> bool:
        if change is None or self.change is None or change != change:
            return False
        return change * self.change < 0 or abs(change) > LARGER * abs(self.change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of the limit from which an alarm opens; 0 is the detector's own."""

    detector: str
    service: str
    metric: str  #: empty: every metric of the service
    old: float
    new: float
    why: str
    actor: str
    at: datetime
    feedback: str = ""  #: the word it follows from
    undone_at: datetime | None = None
    undone_by: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An incident that a person recorded."""

    service: str
    what: str
    began_at: datetime
    ended_at: datetime | None = None
    found: Mapping[str, str] = field(default_factory=dict)  #: detector -> when it raised an alarm for it (ISO 8601)
    actor: str
    at: datetime
    undone_at: datetime | None = None
    undone_by: str = ""
    id: str = ""


def minute_of_week(at: datetime, zone: str) -> int:
    """0 is Monday 00:00 on that place's clocks, whatever they were set to."""
    local = at.astimezone(ZoneInfo(zone))
    return local.weekday() * 24 * 60 + local.hour * 60 + local.minute
