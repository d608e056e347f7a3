"""Service levels over calendar windows: good, bad and unknown time kept apart, beside what the contract allows.

Time that nobody measured is neither good nor bad: the attained share is that of the known time, and the share of the
window that is not known stands beside it.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from .business_periods import midnight, start_of

NAN = float("nan")
HUNDRED = Decimal(100)
MINUTE = Decimal(60)
#: Less of a burn window than this known, and nobody can say how fast the budget goes.
LEAST_KNOWN = 0.5
#: Length of the rolling window.
ROLLING = timedelta(days=30)
#: A window with less than this left of its budget is at risk.
AT_RISK = 0.25

Window = Literal["month", "year", "30d"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in a stretch of time: seconds, and events where the objective counts events."""

    good: float = 0.0  #: seconds
    bad: float = 0.0  #: seconds; of an objective on events its share of bad ones
    excluded: float = 0.0  #: seconds of planned maintenance
    events: float = 0.0  #: all events; 0 for objectives on time
    bad_events: float = 0.0

    @property
    def known(self) -> float:
        return self.good + self.bad

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.good + other.good, self.bad + other.bad, self.excluded + other.excluded,
            self.events + other.events, self.bad_events + other.bad_events,
        )  # fmt: skip

    @property
    def bad_share(self) -> float:
        """Share of events, or of time, that was bad; NaN when nothing is known."""
        if self.events > 0:
            return self.bad_events / self.events
        return self.bad / self.known if self.known > 0 else NAN


def total(found: Sequence[Counts]) -> Counts:
    good = bad = excluded = events = bad_events = 0.0
    for one in found:  # thousands a minute: no object for each step
        good += one.good
        bad += one.bad
        excluded += one.excluded
        events += one.events
        bad_events += one.bad_events
    return Counts(good, bad, excluded, events, bad_events)


@dataclass(frozen=True, slots=True)
class Span:
    """A window of one objective in time."""

    start: datetime
    end: datetime  #: of a calendar window its end, which may lie ahead; of the rolling one the moment it is asked
    promised: timedelta | None = None  #: length that the promise speaks of, where whole hours make the window longer

    @property
    def seconds(self) -> Decimal:
        return Decimal(round((self.promised or self.end - self.start).total_seconds()))


def span_of(window: Window, now: datetime, zone: ZoneInfo) -> Span:
    """The window that holds ``now``: months have 28 to 31 days, years 365 or 366, on the wall clock of ``zone``.

    The rolling window starts at a whole hour, for hours are what is kept.
    """
    local = now.astimezone(zone)
    if window == "30d":
        return Span(start_of("hour", now - ROLLING, zone), now, ROLLING)
    if window == "year":
        return Span(midnight(date(local.year, 1, 1), zone), midnight(date(local.year + 1, 1, 1), zone))
    first = date(local.year, local.month, 1)
    days = calendar.monthrange(local.year, local.month)[1]
    return Span(midnight(first, zone), midnight(first + timedelta(days=days), zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a promise stands in one window. Minutes are exact where they come from the target or the contract."""

    span: Span
    elapsed: float  #: seconds of the window that are over
    counts: Counts
    target: Decimal  #: per cent
    computed: Decimal  #: bad minutes that the target allows in this very window, planned maintenance left out
    contract: Decimal | None  #: bad minutes in the contract's words
    unwatched: float = 0.0  #: seconds of the window that were over before anything was measured

    @property
    def unknown(self) -> float:
        """Seconds of the time so far that nobody measured."""
        return max(self.elapsed - self.counts.known - self.counts.excluded, 0.0)

    @property
    def unknown_ratio(self) -> float:
        counted = self.elapsed - self.counts.excluded
        return self.unknown / counted if counted > 0 else NAN

    @property
    def attained(self) -> float:
        """Good share of what is known, 0..1; NaN when nothing is."""
        return 1.0 - self.counts.bad_share

    @property
    def attained_at_worst(self) -> float:
        """The same if every unknown second had been bad."""
        counted = self.counts.known + self.unknown
        return self.attained * self.counts.known / counted if counted > 0 and self.counts.known > 0 else NAN

    @property
    def allowed(self) -> Decimal:
        """The contract's figure where there is one: it is what was promised."""
        return self.computed if self.contract is None else self.contract

    @property
    def used(self) -> float:
        """Bad minutes; of an objective on events the minutes of full failure that its bad share is worth."""
        return self.counts.bad_share * self.counts.known / 60 if self.counts.known > 0 else NAN

    @property
    def left(self) -> float:
        """Minutes; negative once the promise is broken."""
        return float(self.allowed) - self.used

    @property
    def left_ratio(self) -> float:
        """1 untouched, 0 spent, negative overspent."""
        return self.left / float(self.allowed)

    @property
    def gaps(self) -> float:
        """Share of the time since measuring began that nobody knows, 0..1; NaN when it never began."""
        watched = self.elapsed - self.unwatched - self.counts.excluded
        return max(self.unknown - self.unwatched, 0.0) / watched if watched > 0 else NAN

    @property
    def status(self) -> Literal["met", "so_far", "at_risk", "broken", "unknown"]:
        """``so_far`` where all is well since measuring began, and that is less than half of the window's time."""
        if self.left < 0:
            return "broken"  # more unknown time would not mend it
        if np.isnan(self.left) or self.gaps > LEAST_KNOWN:
            return "unknown"
        if self.left_ratio < AT_RISK:
            return "at_risk"
        return "so_far" if self.unknown_ratio > LEAST_KNOWN else "met"


def allowed_minutes(target: Decimal, seconds: Decimal) -> Decimal:
    """Bad minutes that ``target`` per cent leave in a window of so many seconds, exact."""
    return seconds * (HUNDRED - target) / HUNDRED / MINUTE


def standing(
    window: Span,
    counts: Counts,
    *,
    target: Decimal,
    contract: Decimal | None,
    now: datetime,
    first: datetime | None = None,
) -> Standing:
    """How a promise stands at ``now``; ``first`` is when measuring began, where it is known."""
    elapsed = (min(now, window.end) - window.start).total_seconds()
    unwatched = 0.0 if first is None else min(max((first - window.start).total_seconds(), 0.0), elapsed)
    length = max(window.seconds - Decimal(round(counts.excluded)), Decimal(0))
    return Standing(
        span=window, elapsed=elapsed, counts=counts, target=target, computed=allowed_minutes(target, length),
        contract=contract, unwatched=unwatched,
    )  # fmt: skip


def burn(found: Counts, window: timedelta, target: Decimal) -> float:
    """Burn rate of a short window; NaN where less than half of it is known. Planned maintenance is not missed."""
    wanted = window.total_seconds() - found.excluded
    if wanted <= 0 or found.known < LEAST_KNOWN * wanted:
        return NAN
    return found.bad_share / float((HUNDRED - target) / HUNDRED)


def progress(baseline: Decimal, target: Decimal, attained: float) -> float:
    """How much of the way from baseline to target is done: 0 none, 1 all; NaN where there is no way to go."""
    way = float(target - baseline)
    return (attained * 100 - float(baseline)) / way if way else NAN


@dataclass(frozen=True, slots=True)
class Chain:
    """Services that must all work, against one target for the whole. Everything in per cent."""

    attainable: Decimal  #: the best the parts promise together
    target: Decimal
    needed: Decimal  #: what each of as many equal parts must promise, rounded up

    @property
    def contradicts(self) -> bool:
        """The whole promises more than its parts can give."""
        return self.attainable < self.target


def chain(targets: Sequence[Decimal], target: Decimal) -> Chain:
    """20 services of 99.9 % in a row are 98.02 %; for 99.99 % each needs 99.9995 %."""
    if not targets or not all(0 < each < HUNDRED for each in [*targets, target]):
        raise ValueError("targets are per cent between 0 and 100, such as 99.9, and there is one at least")
    with localcontext() as context:
        context.prec = 40
        product = HUNDRED
        for each in targets:
            product *= each / HUNDRED
        needed = HUNDRED * (target / HUNDRED) ** (Decimal(1) / len(targets))
    return Chain(product, target, needed.quantize(Decimal("0.000001"), rounding=ROUND_CEILING))


def tally(
    good: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    excluded: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    seconds: float,
) -> list[Counts]:
    """Pieces of time as counts. ``good`` is the good share of each piece, NaN where nobody knows."""
    found = []
    for share, out in zip(good.tolist(), excluded.tolist(), strict=True):
        if out:
            found.append(Counts(excluded=seconds))
        elif share == share:
            found.append(Counts(good=share * seconds, bad=(1 - share) * seconds))
        else:
            found.append(Counts())
    return found


def tally_events(
    good: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    every: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    excluded: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    seconds: float,
) -> list[Counts]:
    """Events a second as counts. Nobody asked is known and all good; good events unknown beside others is unknown."""
    found = []
    for ok, all_of, out in zip(good.tolist(), every.tolist(), excluded.tolist(), strict=True):
        if out:
            found.append(Counts(excluded=seconds))
        elif all_of == all_of and all_of <= 0:
            found.append(Counts(good=seconds))
        elif all_of == all_of and ok == ok:
            bad = min(max(all_of - ok, 0.0), all_of)
            share = bad / all_of
            found.append(
                Counts((1 - share) * seconds, share * seconds, events=all_of * seconds, bad_events=bad * seconds)
            )
        else:
            found.append(Counts())
    return found


def burn_of(pieces: Mapping[int, Counts], until_ms: int, window: timedelta, target: Decimal) -> float:
    """Burn rate of the ``window`` that ends at ``until_ms``; pieces by the moment they end."""
    since = until_ms - round(window.total_seconds() * 1000)
    return burn(total([one for end, one in pieces.items() if since < end <= until_ms]), window, target)
