"""Probes of a dual link: a sample counts once, however often it is looked at, and one that is late is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from watchkeeper.errors import QueryError
from watchkeeper.promql import selectors

from .situation import Facts

#: A side is unknown once so many of its probes in a row are missing.
MISSING = 4
#: Time between two probes that is believed at most: after a longer silence nobody knows what is usual.
SELDOM = timedelta(minutes=1)

SAME: Literal["same"] = "same"
Word = bool | None | Literal["same"]  #: None is unknown; ``SAME``: nothing new, and it was good


class Look(NamedTuple):
    """What a probe's expression says, and of when its newest sample is."""

    good: bool | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest sample of a side, and how long after the one before it came."""

    at: datetime | None = None
    every: timedelta = timedelta(0)


def look(facts: Facts, expr: str, at: datetime) -> Look:
    """A side is good while every series of its probe is above 0; no series is unknown."""
    try:
        values = [value for _, value in facts.query(expr, at)]
        moments = list(_moments(facts, expr, at))
    except QueryError:
        return Look(None, None)
    known = [moment for moment in moments if moment is not None]
    newest = min(known, default=at) if len(known) == len(moments) else None
    return Look(all(value > 0 for value in values) if values else None, newest)


def _moments(facts: Facts, expr: str, at: datetime) -> Iterator[datetime | None]:
    return (facts.newest(matchers, at) for matchers, _range, _offset in selectors(expr))


def word(heard: Heard, seen: Look, now: datetime, interval: timedelta) -> tuple[Heard, Word]:
    """What this look adds to what was heard of the side. ``now``: wall time, as of samples."""
    if seen.at is None:
        return heard, None
    if heard.at is None or seen.at > heard.at:
        gap = timedelta(0) if heard.at is None else min(seen.at - heard.at, SELDOM)
        news, heard = True, Heard(seen.at, gap)
    else:
        news = False
    if now - seen.at > MISSING * max(interval, heard.every):
        return heard, None
    return heard, seen.good if news or seen.good is not True else SAME
