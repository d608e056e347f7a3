"""How good alarms are by what people said of them: precision, recall and time to detect. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from watchkeeper.model import Feedback, Opinion, Recorded

NAN = float("nan")
#: All detectors of a service together.
ANY = "any"
#: Fewer words than this do not make a figure that may be compared with a target.
ENOUGH = 50
#: Normal deviate of Wilson's interval at 95 % (Wilson, 1927).
Z = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one detector and service; NaN where nobody said anything."""

    detector: str
    service: str
    right: int  #: alarms that people called right
    wrong: int
    expected: int  #: counts neither for nor against
    precision: float  #: right / (right + wrong)
    low: float  #: 95 % interval of the precision
    high: float
    found: int  #: incidents with an alarm of this detector: called right, or recorded and preceded by one
    missed: int  #: incidents that people recorded, which no alarm of it preceded
    recall: float  #: found / (found + missed)
    time_to_detect_seconds: float  #: median, from when it began to the alarm

    @property
    def enough(self) -> bool:
        return self.right + self.wrong >= ENOUGH


def standing(words: Iterable[Feedback]) -> list[Feedback]:
    """The newest word of each person on each alarm that was not taken back, and of these the newest on the alarm."""
    newest: dict[str, Feedback] = {}
    for one in sorted(words, key=lambda each: each.at):
        if one.undone_at is None:
            newest[one.alarm] = one
    return list(newest.values())


def figures(words: Iterable[Feedback], recorded: Iterable[Recorded]) -> list[Figures]:
    """One row a detector and service, and one of ``any`` detector a service that has more than one or none."""
    said = standing(words)
    known = [one for one in recorded if one.undone_at is None]
    by: dict[tuple[str, str], list[Feedback]] = defaultdict(list)
    for one in said:
        by[(one.detector, one.service)].append(one)
        by[(ANY, one.service)].append(one)
    for row in known:
        by.setdefault((ANY, row.service), [])
        for detector in row.found:
            by.setdefault((detector, row.service), [])
    return [
        _figures(detector, service, mine, [row for row in known if row.service == service])
        for (detector, service), mine in sorted(by.items())
    ]


def wilson(right: int, all_of_them: int) -> tuple[float, float]:
    """95 % interval of a share; NaN without any."""
    if not all_of_them:
        return NAN, NAN
    share, scale = right / all_of_them, 1 + Z**2 / all_of_them
    centre = share + Z**2 / (2 * all_of_them)
    reach = Z * math.sqrt(share * (1 - share) / all_of_them + Z**2 / (4 * all_of_them**2))
    return (centre - reach) / scale, (centre + reach) / scale


def _figures(detector: str, service: str, words: Sequence[Feedback], recorded: Sequence[Recorded]) -> Figures:
    counts = {opinion: sum(one.opinion is opinion for one in words) for opinion in Opinion}
    right, wrong = counts[Opinion.RIGHT], counts[Opinion.WRONG]
    low, high = wilson(right, right + wrong)
    raised = [(row, _raised(row, detector)) for row in recorded]
    times = _times([one for one in words if one.opinion is Opinion.RIGHT])
    times += [_seconds(row.began_at, at) for row, at in raised if at is not None]
    missed = sum(at is None for _, at in raised)
    return Figures(
        detector=detector,
        service=service,
        right=right,
        wrong=wrong,
        expected=counts[Opinion.EXPECTED],
        precision=right / (right + wrong) if right + wrong else NAN,
        low=low,
        high=high,
        found=len(times),
        missed=missed,
        recall=len(times) / (len(times) + missed) if times or missed else NAN,
        time_to_detect_seconds=median(times) if times else NAN,
    )


def _raised(row: Recorded, detector: str) -> datetime | None:
    """When this detector (any: the first of them) told of a recorded incident."""
    moments = [datetime.fromisoformat(at) for name, at in row.found.items() if detector in (name, ANY)]
    return min(moments) if moments else None


def _times(right: Sequence[Feedback]) -> list[float]:
    """One time to detect an incident: of several alarms the first counts."""
    first: dict[str, Feedback] = {}
    for one in sorted(right, key=lambda each: each.raised_at):
        first.setdefault(one.incident or one.alarm, one)
    return [_seconds(one.began_at, one.raised_at) for one in first.values()]


def _seconds(began: datetime, raised: datetime) -> float:
    """An alarm before the beginning took no time."""
    return max((raised - began).total_seconds(), 0.0)
