"""Business: read the key figures, judge each against its target and its own past, and make series of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from analytics import business as arithmetic
from analytics.business import LEAST_HISTORY, Goal, Status, Usual, Verdict
from analytics.business_periods import Against, grid_ms, midnight, next_start, reference_start, start_of
from watchkeeper.app.pipeline import business_read, business_series
from watchkeeper.app.schedule import every
from watchkeeper.config import Loaded
from watchkeeper.config.business import Business as Section
from watchkeeper.config.business import Kpi
from watchkeeper.config.shop import all_kpis
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Layout, Matrix, Scores, labels
from watchkeeper.store.state import KpiValue
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

AGAINST: tuple[Against, ...] = ("previous", "last_week", "last_year")
#: Document with the frozen baseline of a figure.
BASELINE = "business/baseline/"
#: Connections to one address at the same time.
AT_ONCE = 2
#: How often late rows are looked for.
LATE_EVERY = timedelta(hours=1)
#: When figures are first read after the start.
FIRST = timedelta(seconds=10)
#: A series that is older than five minutes is none to PromQL.
PUBLISH_EVERY = timedelta(minutes=1)
#: Newest periods that a detector looks at: six weeks of hours, or some years of days.
LOOKED_AT = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One figure as it stands."""

    kpi: Kpi
    verdict: Verdict
    rows: Sequence[KpiValue] = ()  #: kept periods from the first that says anything, in order
    last: KpiValue | None = None  #: the newest period that is over
    current: KpiValue | None = None  #: the period under way, never judged
    goal: Goal
    usual: Usual = field(default_factory=Usual)
    scores: Scores | None = None  #: of ``rows`` that are over
    references: Mapping[str, Decimal | None] = field(default_factory=dict)
    read_at: datetime | None = None  #: when the source last answered
    error: str = ""  #: why it does not


@dataclass(slots=True, eq=False)
class Business:
    """Figures by name. Rows live in the state database; what is here can be made again from them."""

    engine: Engine
    judged: dict[str, Judged] = field(default_factory=dict)
    _kpis: tuple[Section | None, list[Kpi]] = (None, [])
    _scored: dict[str, tuple[int, Scores]] = field(default_factory=dict)
    _layouts: dict[str, Layout] = field(default_factory=dict)
    _looked_late: dict[str, datetime] = field(default_factory=dict)
    _gates: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    @classmethod
    def checked(cls, engine: Engine) -> Business:
        """Raises ConfigError for an address that no reader can use."""
        checked_figures(engine.loaded)
        return cls(engine)

    @property
    def kpis(self) -> list[Kpi]:
        """Every figure of the configuration in force, ratios last."""
        section = self.engine.config.business
        if self._kpis[0] is not section:
            self._kpis = (section, all_kpis(section))
        return self._kpis[1]

    # --- steps -----------------------------------------------------------------------------------------------------

    async def step(self, now: datetime) -> None:
        """Read and judge every figure; one that fails is unknown, with the reason, and takes nobody along."""
        own = [kpi for kpi in self.kpis if kpi.source.kind != "ratio"]
        crashes = [crash for crash in await asyncio.gather(*(self._one(kpi, now) for kpi in own)) if crash]
        for kpi in self.kpis:
            if kpi.source.kind == "ratio":
                await self._ratio(kpi, now)
        for gone in self.judged.keys() - {kpi.name for kpi in self.kpis}:
            del self.judged[gone]
        await self.publish(self.engine.clock.now())
        if crashes:
            raise crashes[0]  # the scheduler logs and counts it; everything else is done by now

    async def publish(self, now: datetime) -> None:
        """The figures as series, every minute, so that a rule always finds them."""
        ticks = [tick for one in list(self.judged.values()) for tick in business_series.ticks(one, now, self._layouts)]
        if ticks:
            await self.engine.collecting.append_derived("business", ticks)

    async def _one(self, kpi: Kpi, now: datetime) -> Exception | None:
        before = await asyncio.to_thread(self._kept, kpi)
        try:
            async with self._gate(kpi):
                values = await business_read.read(self.engine, kpi, before, now, late=self._late(kpi, now))
        except WatchkeeperError as error:
            await asyncio.to_thread(self._failed, kpi, str(error), now)
            return None
        except Exception as error:  # noqa: BLE001 - a crash of one reader must not look like health of its figure
            await asyncio.to_thread(self._failed, kpi, f"{type(error).__name__}: {error}", now)
            return error
        if self._late(kpi, now):
            self._looked_late[kpi.name] = now
        judged = await asyncio.to_thread(self._take, kpi, values, now)
        if not before:
            await self._fill_series(judged, now)
        self.judged[kpi.name] = judged
        return None

    def _late(self, kpi: Kpi, now: datetime) -> bool:
        """Late rows are looked for now and then: each look asks for every period that they may change."""
        before = self._looked_late.get(kpi.name)
        return before is None or now - before >= LATE_EVERY

    def _gate(self, kpi: Kpi) -> asyncio.Semaphore:
        """Figures of one address take turns: a database is not asked for all of them at once."""
        return self._gates.setdefault(kpi.source.url.get_secret_value(), asyncio.Semaphore(AT_ONCE))

    async def _ratio(self, kpi: Kpi, now: datetime) -> None:
        parts = [self.judged.get(name) for name in (kpi.source.numerator, kpi.source.denominator)]
        broken = [part.kpi.name for part in parts if part is not None and part.error]
        if broken or None in parts:
            await asyncio.to_thread(self._failed, kpi, f"no news of {', '.join(broken) or 'its parts'}", now)
            return
        above, below = [await asyncio.to_thread(self._kept, part.kpi) for part in parts if part is not None]
        before = await asyncio.to_thread(self._kept, kpi)
        shares = business_read.of_ratio(above, below, kpi.least_volume)
        judged = await asyncio.to_thread(self._take, kpi, shares, now)
        if not before:
            await self._fill_series(judged, now)
        self.judged[kpi.name] = self._of_few(judged, below, now)

    def _of_few(self, one: Judged, below: Sequence[KpiValue], now: datetime) -> Judged:
        """Say so where the share of the newest period is unknown because it would be of too few."""
        if one.verdict.reasons != ("no_value",):
            return one
        newest = business_read.last_settled(one.kpi, now, self.engine.config.zone)
        volume = next((row.value for row in below if row.start == newest), None)
        few = volume is not None and volume < one.kpi.least_volume
        return replace(one, verdict=Verdict(status=Status.UNKNOWN, reasons=("few",))) if few else one

    def _take(self, kpi: Kpi, values: Mapping[datetime, Decimal | None], now: datetime) -> Judged:
        with self.engine.state.begin() as unit:
            current = start_of(kpi.period, now, self.engine.config.zone)
            restated = unit.kpis.put(kpi.name, kpi.period, values, current, at=now)
        if restated:
            log.info("periods restated", kpi=kpi.name, periods=restated)
        return self.judge(kpi, self._kept(kpi), now, read_at=now)

    def _failed(self, kpi: Kpi, error: str, now: datetime) -> None:
        """Kept values stay to be seen, but nobody knows how the figure stands."""
        known = self.judged.get(kpi.name)
        if known is None or known.error != error:
            log.warning("key figure cannot be read", kpi=kpi.name, error=error)
        rows = self._kept(kpi)
        read_at = known.read_at if known is not None else max((row.updated_at for row in rows), default=None)
        judged = self.judge(kpi, rows, now, read_at=read_at)
        unknown = Verdict(status=Status.UNKNOWN, reasons=("source_failed",))
        self.judged[kpi.name] = replace(judged, verdict=unknown, error=error)

    def _kept(self, kpi: Kpi) -> list[KpiValue]:
        with self.engine.state.read() as unit:
            return unit.kpis.values(kpi.name, kpi.period)

    async def _fill_series(self, judged: Judged, now: datetime) -> None:
        """Periods of the past as samples, so that charts have a history on day one."""
        since = now - self.engine.config.store.retention
        ticks = business_series.history(judged, since, self.engine.config.zone)
        if ticks:
            await self.engine.collecting.append_derived("business", ticks)

    # --- judging ---------------------------------------------------------------------------------------------------

    def judge(self, kpi: Kpi, kept: Sequence[KpiValue], now: datetime, *, read_at: datetime | None) -> Judged:
        """The newest period that is over, against the target and against what was usual before it."""
        zone = self.engine.config.zone
        rows = list(kept[arithmetic.without_prelude([row.value for row in kept], kpi.direction) :])
        newest = business_read.last_settled(kpi, now, zone)
        by_start = {row.start: row for row in rows}
        last, current = by_start.get(newest), by_start.get(start_of(kpi.period, now, zone))
        references: dict[str, Decimal | None] = {
            against: at.value if (at := by_start.get(_start(against, kpi, newest, zone))) else None
            for against in AGAINST
        }
        goal = self._goal(kpi, by_start, references, now)
        scores = self._scores(kpi, [row for row in rows if row.start <= newest])
        usual = _usual(scores) if last is not None and scores is not None else Usual()
        verdict = arithmetic.judge(last.value if last is not None else None, goal, usual)
        if verdict.status == Status.GOOD and kpi.relative is not None and goal.edges == (None, None):
            verdict = Verdict(status=Status.UNKNOWN, reasons=("no_reference",))
        return Judged(kpi=kpi, verdict=verdict, rows=rows, last=last, current=current, goal=goal, usual=usual,
                      scores=scores, references=references, read_at=read_at)  # fmt: skip

    def standing(self, now: datetime) -> list[Judged]:
        """Every configured figure; one that was not read since the start is unknown."""
        return [self.judged.get(kpi.name) or self._unread(kpi, now) for kpi in self.kpis]

    def _unread(self, kpi: Kpi, now: datetime) -> Judged:
        rows = self._kept(kpi)
        judged = self.judge(kpi, rows, now, read_at=max((row.updated_at for row in rows), default=None))
        return replace(judged, verdict=Verdict(status=Status.UNKNOWN, reasons=("not_read_yet",)))

    def _goal(
        self, kpi: Kpi, rows: Mapping[datetime, KpiValue], references: Mapping[str, Decimal | None], now: datetime
    ) -> Goal:
        low, high = kpi.band or (None, None)
        target = kpi.target
        if kpi.relative is not None:
            wanted = kpi.relative
            reference = self._baseline(kpi, rows, now) if wanted.to == "baseline" else references[wanted.to]
            target = arithmetic.relative_target(reference, wanted.change)
        return Goal(direction=kpi.direction, target=target, low=low, high=high, warn=kpi.warn)

    def _baseline(self, kpi: Kpi, rows: Mapping[datetime, KpiValue], now: datetime) -> Decimal | None:
        """The declared one; or that of a period, frozen when it is first known, whatever is restated later."""
        assert kpi.relative is not None
        if kpi.relative.baseline is not None:
            return kpi.relative.baseline
        day, zone, key = kpi.relative.baseline_date, self.engine.config.zone, BASELINE + kpi.name
        assert day is not None
        with self.engine.state.read() as unit:
            frozen = unit.documents.get(key)
        if frozen is not None and frozen["date"] == day.isoformat():
            return Decimal(frozen["value"])
        row = rows.get(start_of(kpi.period, midnight(day, zone), zone))
        if row is None or row.value is None or not row.finished:
            return None
        with self.engine.state.begin() as unit:
            unit.documents.put(key, {"date": day.isoformat(), "value": format(row.value, "f")}, at=now)
        return row.value

    def _scores(self, kpi: Kpi, rows: Sequence[KpiValue]) -> Scores | None:
        """What the detector expected of each period, made anew only when a period has changed."""
        rows = rows[-LOOKED_AT:]
        if len(rows) < LEAST_HISTORY or not self.engine.config.scoring.enabled:
            return None
        key = hash(tuple((row.start, row.value) for row in rows))
        known = self._scored.get(kpi.name)
        if known is None or known[0] != key:
            matrix = to_matrix(kpi, rows, self.engine.config.zone)
            known = self._scored[kpi.name] = (key, possible(kpi, matrix, self.engine.detector.score(matrix)))
        return known[1]


def checked_figures(loaded: Loaded) -> int:
    """How many figures are configured. Raises ConfigError for an address that no reader can use."""
    kpis = all_kpis(loaded.config.business)
    business_read.check_sources(kpis, loaded.config.zone)
    return len(kpis)


def schedule(engine: Engine, now: datetime) -> None:
    """Figures soon after the start, then the forecasts of them."""
    section = engine.config.business
    if not section.enabled:
        return
    add, first = engine.scheduler.add, now + FIRST
    add("business", every(section.every, first), engine.business.step)
    add("predict", every(section.every, first + FIRST), engine.predicting.step)
    add("business_publish", every(PUBLISH_EVERY, now + PUBLISH_EVERY), engine.business.publish)
    add("predict_publish", every(PUBLISH_EVERY, now + PUBLISH_EVERY), engine.predicting.publish)


def to_matrix(kpi: Kpi, rows: Sequence[KpiValue], zone: ZoneInfo) -> Matrix:
    """Rows as a matrix of one series on the even grid of the wall clock; periods never read are gaps."""
    starts = [rows[0].start]
    while starts[-1] < rows[-1].start:
        starts.append(next_start(kpi.period, starts[-1], zone))
    known = {row.start: float(row.value) for row in rows if row.value is not None}
    values = np.array([[known.get(start, np.nan) for start in starts]])
    times = np.array([grid_ms(kpi.period, start, zone) for start in starts], dtype=np.int64)
    return Matrix(series=(labels("watchkeeper_kpi", kpi=kpi.name),), times=times, values=values,
                  present=~np.isnan(values))  # fmt: skip


def possible(kpi: Kpi, matrix: Matrix, scores: Scores) -> Scores:
    """The band kept to what the figure can be: never below 0 if it never was, a share never above 1."""
    values = matrix.values[matrix.present]
    low = 0.0 if (values >= 0).all() else -np.inf
    high = 1.0 if kpi.unit == "ratio" and (values <= 1).all() else np.inf
    return replace(scores, lower=np.clip(scores.lower, low, high), upper=np.clip(scores.upper, low, high))


def _usual(scores: Scores) -> Usual:
    parts = (scores.expected, scores.lower, scores.upper, scores.value)
    found = [float(part[0, -1]) if np.isfinite(part[0, -1]) else None for part in parts]
    return Usual(expected=found[0], lower=found[1], upper=found[2], score=found[3])


def _start(against: Against, kpi: Kpi, newest: datetime, zone: ZoneInfo) -> datetime:
    return reference_start(against, kpi.period, newest, zone) or datetime.max.replace(tzinfo=newest.tzinfo)
