"""Counting: stored samples as good, bad and unknown pieces of time, kept by the hour so that nothing is read twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from analytics.business_periods import start_of
from analytics.slo_windows import Counts, Span, tally, tally_events, total
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.config.objectives import Objective
from watchkeeper.errors import QueryError

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: Documents with what was counted.
PREFIX = "slo/"
#: A year, and what is left of the one before it on the first of January.
KEPT = timedelta(days=400)
#: Hours are kept in memory as long as the rolling window needs them; before that, days.
HOURS_KEPT = timedelta(days=32)
#: The longest burn window.
PIECES_KEPT = timedelta(days=3)
#: Most pieces asked in one query.
CHUNK = 1440
#: What an account keeps of itself, Unix ms.
MOMENTS = ("since_ms", "until_ms", "known_ms", "first_ms")
Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def fingerprint(one: Objective, step: timedelta) -> str:
    """Changes when what is counted changes; target, title and owner may change freely."""
    told = one.model_dump(
        mode="json",
        include={"kind", "query", "combine", "good", "total", "at_most", "at_least", "exclude", "maintenance"},
    )
    return hashlib.sha256(json.dumps([told, step.total_seconds()], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True, eq=False)
class Account:
    """What was counted of one objective."""

    name: str
    fingerprint: str
    zone: ZoneInfo
    since_ms: int = 0  #: first moment that was looked at
    until_ms: int = 0  #: counted up to here
    known_ms: int = 0  #: newest moment that was known
    first_ms: int = 0  #: oldest moment that was known
    days: dict[int, Counts] = field(default_factory=dict)  #: by the day's first moment, on the wall clock
    hours: dict[int, Counts] = field(default_factory=dict)
    pieces: dict[int, Counts] = field(default_factory=dict)  #: by the moment each ends
    error: str = ""  #: why nothing can be counted

    def take(self, found: Mapping[int, Counts], step_ms: int) -> set[str]:
        """Add new pieces; the documents (UTC days) that changed."""
        changed = set()
        for end, one in found.items():
            self.pieces[end] = one
            self.until_ms = max(self.until_ms, end)
            if one == Counts():
                continue  # unknown: nothing to keep
            hour = start_of("hour", from_ms(end - step_ms), self.zone)
            self.put(to_ms(hour), one)
            changed.add(_day(to_ms(hour)))
            if one.known:
                self.known_ms = max(self.known_ms, end)
                self.first_ms = self.first_ms or end - step_ms
        self._trim()
        return changed

    def put(self, hour: int, one: Counts) -> None:
        self.hours[hour] = self.hours.get(hour, Counts()) + one
        day = to_ms(start_of("day", from_ms(hour), self.zone))
        self.days[day] = self.days.get(day, Counts()) + one

    def within(self, span: Span) -> Counts:
        """Everything counted in a window. Calendar windows are whole days, the rolling one whole hours."""
        first, last = to_ms(span.start), to_ms(span.end)
        if first == to_ms(start_of("day", span.start, self.zone)):
            return total([one for at, one in self.days.items() if first <= at < last])
        return total([one for at, one in self.hours.items() if first <= at < last])

    def recent(self, window: timedelta) -> Counts:
        """The window that ends with the newest piece."""
        since = self.until_ms - round(window.total_seconds() * 1000)
        return total([one for end, one in self.pieces.items() if end > since])

    def _trim(self) -> None:
        for kept, age in ((self.pieces, PIECES_KEPT), (self.hours, HOURS_KEPT), (self.days, KEPT)):
            oldest = self.until_ms - round(age.total_seconds() * 1000)
            for at in [at for at in kept if at < oldest]:
                del kept[at]

    # --- documents -------------------------------------------------------------------------------------------------

    def save(self, unit: Unit, changed: set[str], at: datetime) -> None:
        for day in sorted(changed):
            rows = {str(hour): _row(one) for hour, one in self.hours.items() if _day(hour) == day}
            unit.documents.put(f"{PREFIX}{self.name}/{day}", rows, at=at)
        head = {name: getattr(self, name) for name in ("fingerprint", *MOMENTS)}
        unit.documents.put(PREFIX + self.name, head, at=at)


def restored(unit: Unit, name: str, wanted: str, zone: ZoneInfo, at: datetime) -> Account:
    """What was counted before; nothing when another question was counted then. Rows past their time are dropped."""
    account = Account(name, wanted, zone)
    head = unit.documents.get(PREFIX + name)
    kept = unit.documents.with_prefix(f"{PREFIX}{name}/")
    oldest, same = _day(to_ms(at - KEPT)), head is not None and head["fingerprint"] == wanted
    for key, rows in kept.items():
        if not same or key.rpartition("/")[2] < oldest:
            unit.documents.remove(key)
            continue
        for hour, row in rows.items():
            account.put(int(hour), Counts(*row))
    if head is not None and same:
        for moment in MOMENTS:
            setattr(account, moment, head.get(moment, 0))
        account.first_ms = account.first_ms or min((at for at, one in account.days.items() if one.known), default=0)
    return account


def _row(one: Counts) -> list[float]:
    return [round(each, 6) for each in (one.good, one.bad, one.excluded, one.events, one.bad_events)]


def _day(ms: int) -> str:
    return f"{from_ms(ms):%Y-%m-%d}"


# --- reading ---------------------------------------------------------------------------------------------------------


def read(engine: Engine, one: Objective, start_ms: int, end_ms: int, step_ms: int) -> dict[int, Counts]:
    """Pieces that end after ``start_ms`` up to ``end_ms``. Raises QueryError."""
    times = np.arange(start_ms + step_ms, end_ms + 1, step_ms, dtype=np.int64)
    if not len(times):
        return {}

    def ask(expr: str) -> tuple[Values, Flags]:
        found = engine.exact.range(expr, int(times[0]), int(times[-1]), step_ms)
        return found.values, found.present & ~np.isnan(found.values)

    out = _excluded(one, times, ask(one.exclude) if one.exclude else None)
    seconds = step_ms / 1000
    if one.kind == "ratio":
        good, every = (_sum(*ask(expr), len(times)) for expr in (one.good, one.total))
        counts = tally_events(good, every, out, seconds)
    else:
        counts = tally(_share(one, *ask(one.query), len(times)), out, seconds)
    return dict(zip(times.tolist(), counts, strict=True))


def _share(one: Objective, values: Values, known: Flags, count: int) -> Values:
    """1 good, 0 bad, NaN unknown for each moment."""
    if not len(values):
        return np.full(count, np.nan)
    if one.kind == "uptime":
        good = values > 0
    else:
        low = -np.inf if one.at_least is None else one.at_least
        high = np.inf if one.at_most is None else one.at_most
        good = (values >= low) & (values <= high)
    share = (good & known).any(axis=0) if one.combine == "best" else (good | ~known).all(axis=0)
    return np.where(known.any(axis=0), share.astype(np.float64), np.nan)


def _sum(values: Values, known: Flags, count: int) -> Values:
    if not len(values):
        return np.full(count, np.nan)
    return np.where(known.any(axis=0), np.where(known, values, 0.0).sum(axis=0), np.nan)


def _excluded(one: Objective, times: Any, asked: tuple[Values, Flags] | None) -> Flags:
    out = np.zeros(len(times), dtype=np.bool_)
    if asked is not None and len(asked[0]):
        out |= ((asked[0] > 0) & asked[1]).any(axis=0)
    for window in one.maintenance:
        out |= (times > to_ms(window.start)) & (times <= to_ms(window.end))
    return out


def catch_up(engine: Engine, one: Objective, account: Account, end_ms: int, step_ms: int, now: datetime) -> None:
    """Count everything up to ``end_ms``, a chunk a transaction: cut off in the middle, it goes on where it was."""
    oldest = max(_oldest(engine, end_ms), to_ms(now - engine.config.store.retention))
    first = oldest // step_ms * step_ms
    if not account.until_ms:
        account.since_ms = account.until_ms = first
    account.until_ms = max(account.until_ms, first)
    if not account.pieces:
        _warm(engine, one, account, step_ms)
    while account.until_ms < end_ms:
        until = min(account.until_ms + CHUNK * step_ms, end_ms)
        try:
            changed = account.take(read(engine, one, account.until_ms, until, step_ms), step_ms)
        except QueryError as error:
            account.error = str(error)
            return
        account.error = ""
        with engine.state.begin() as unit:
            account.save(unit, changed, now)


def _warm(engine: Engine, one: Objective, account: Account, step_ms: int) -> None:
    """After a start: the pieces of the last three days again, for burn rates; they are in the hours already."""
    since = max(account.until_ms - round(PIECES_KEPT.total_seconds() * 1000), account.since_ms) // step_ms * step_ms
    while since < account.until_ms:
        until = min(since + CHUNK * step_ms, account.until_ms)
        try:
            account.pieces.update(read(engine, one, since, until, step_ms))
        except QueryError:
            return  # catch_up says so in a moment
        since = until


def _oldest(engine: Engine, fallback: int) -> int:
    return int(engine.samples.stats().get("oldest_ms", fallback)) or fallback
