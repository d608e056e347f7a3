"""Where key figures come from: one question for each kind of source, answered as a value for each period."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from analytics import business as arithmetic
from analytics.business_periods import between, next_start, start_of
from collectors import kpi_csv, kpi_http
from collectors.kpi_points import Clockwork, Point
from collectors.kpi_sql import KpiSql
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.config.business import Business as Section
from watchkeeper.config.business import Kpi
from watchkeeper.errors import CollectError, ConfigError
from watchkeeper.promql import Scalar, Vector
from watchkeeper.store.state import KpiValue

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Periods asked for in one reading at most, the newest first; a long history comes in several readings.
MOST_ASKED = 400
#: Periods kept at most when history is filled in: six weeks of hours.
MOST_FILLED = 1000
#: Period of time that a value found must have.
Values = Mapping[datetime, Decimal | None]


def clockwork(kpi: Kpi, zone: ZoneInfo) -> Clockwork:
    source = kpi.source
    return Clockwork(form=source.time_format, zone=ZoneInfo(source.time_zone or "UTC"), calendar=zone)


def sql_reader(kpi: Kpi, zone: ZoneInfo) -> KpiSql:
    source = kpi.source
    return KpiSql(
        source.url.get_secret_value(),
        source.query,
        value=source.value,
        time=source.time,
        clockwork=clockwork(kpi, zone),
        minor_units=source.minor_units,
        age=source.age,
        timeout=source.timeout.total_seconds(),
    )


def check_sources(kpis: Sequence[Kpi], zone: ZoneInfo) -> None:
    """Raises ConfigError for an address that no reader can use."""
    for kpi in kpis:
        if kpi.source.kind == "sql":
            try:
                sql_reader(kpi, zone)
            except ValueError as error:
                raise ConfigError(str(error), key=f"business.{kpi.name}.source.url") from None


def wanted(
    kpi: Kpi, section: Section, kept: Sequence[KpiValue], now: datetime, zone: ZoneInfo, *, late: bool
) -> list[datetime]:
    """Periods to ask for, newest first: the current one, and those not yet known for good.

    With ``late`` also those that late rows may have changed; else of them only the newest.
    """
    known = {row.start for row in kept if row.finished}
    every = list(between(kpi.period, now - section.history, now, zone))[-MOST_FILLED:]
    again = kpi.restate if late else min(kpi.restate, every[-1] - every[-2] if len(every) > 1 else kpi.restate)
    found = [
        start for start in reversed(every) if start not in known or now - next_start(kpi.period, start, zone) < again
    ]
    return found[:MOST_ASKED]


async def read(engine: Engine, kpi: Kpi, kept: Sequence[KpiValue], now: datetime, *, late: bool = True) -> Values:
    """New values by period; ``late``: look for late rows too.

    Raises CollectError, OutboundError or QueryError; nothing kept is lost then.
    """
    zone, section = engine.config.zone, engine.config.business
    kind = kpi.source.kind
    if kind == "http":
        found = await _http(engine, kpi, zone)
        return _settled(kpi, kept, found, now, zone) if isinstance(found, list) else _now(kpi, kept, found, now, zone)
    if kind == "csv":
        points = await asyncio.to_thread(_csv, engine, kpi, zone)
        return _settled(kpi, kept, points, now, zone)
    asked = wanted(kpi, section, kept, now, zone, late=late)
    if kind == "promql":
        return await asyncio.to_thread(_promql, engine, kpi, asked, now, zone)
    return await asyncio.to_thread(_sql, kpi, kept, asked, now, zone)


def of_ratio(
    above: Sequence[KpiValue], below: Sequence[KpiValue], least: Decimal = Decimal(0)
) -> dict[datetime, Decimal | None]:
    """Every period that both figures know; None where the share means nothing, or is of fewer than ``least``."""
    upper = {row.start: row.value for row in above}
    lower = {row.start: None if row.value is None or row.value < least else row.value for row in below}
    known = arithmetic.ratio(upper, lower)
    return {start: known.get(start) for start in sorted(upper.keys() & lower.keys())}


def _sql(kpi: Kpi, kept: Sequence[KpiValue], asked: Sequence[datetime], now: datetime, zone: ZoneInfo) -> Values:
    reader = sql_reader(kpi, zone)
    try:
        if reader.by_period:
            spans = [(start, next_start(kpi.period, start, zone)) for start in asked]
            return dict(zip(asked, reader.of_periods(spans), strict=False))  # the rest comes next time
        if kpi.source.time:
            return _settled(kpi, kept, reader.points(), now, zone)
        return _now(kpi, kept, reader.now(now), now, zone)
    finally:
        reader.close()


def _csv(engine: Engine, kpi: Kpi, zone: ZoneInfo) -> list[Point]:
    source = kpi.source
    assert source.file is not None
    return kpi_csv.read_csv(
        engine.loaded.base / source.file,
        time=source.time or "date",
        value=source.value or "value",
        clockwork=clockwork(kpi, zone),
        minor_units=source.minor_units,
    )


async def _http(engine: Engine, kpi: Kpi, zone: ZoneInfo) -> list[Point] | Decimal | None:
    source = kpi.source
    headers = {name: value.get_secret_value() for name, value in source.headers.items()}
    found = await kpi_http.fetch(
        engine.outbound,
        source.url.get_secret_value(),
        path=source.path,
        headers=headers,
        timeout=source.timeout.total_seconds(),
    )
    if not source.time:
        return kpi_http.now_value(found, source.minor_units)
    return kpi_http.points(
        found,
        time=source.time,
        value=source.value or "value",
        clockwork=clockwork(kpi, zone),
        minor_units=source.minor_units,
    )


def _promql(engine: Engine, kpi: Kpi, asked: Sequence[datetime], now: datetime, zone: ZoneInfo) -> Values:
    """The expression at the end of each period (now for the current one), as far back as samples reach."""
    oldest = engine.samples.stats().get("oldest_ms")
    if oldest is None:
        return {}
    found = {}
    for start in asked:
        end = next_start(kpi.period, start, zone)
        if start >= from_ms(oldest):
            found[start] = _instant(engine, kpi.source.query, min(end, now))
    return found


def _instant(engine: Engine, query: str, at: datetime) -> Decimal | None:
    answer = engine.exact.instant(query, to_ms(at))
    if isinstance(answer, Scalar):
        values = [answer.value]
    elif isinstance(answer, Vector):
        values = [float(value) for value in answer.values]
    else:
        raise CollectError("the expression answers no single value", reason="query")
    if len(values) > 1:
        raise CollectError(
            f"the expression answers {len(values)} series; a figure is one: write sum(...)", reason="query"
        )
    return Decimal(repr(values[0])) if values and np.isfinite(values[0]) else None


def _settled(kpi: Kpi, kept: Sequence[KpiValue], points: Sequence[Point], now: datetime, zone: ZoneInfo) -> Values:
    """Rows as periods. A period that was kept unfinished and has no rows is over without a value.

    The future is left out: a plan in the same file is no actual.
    """
    how = kpi.source.fold or "sum"
    past = [point for point in points if point[0] <= now]
    found: dict[datetime, Decimal | None] = dict(arithmetic.into_periods(past, kpi.period, zone, how))
    current = start_of(kpi.period, now, zone)
    return {row.start: None for row in kept if not row.finished and row.start < current} | found


def _now(kpi: Kpi, kept: Sequence[KpiValue], value: Decimal | None, now: datetime, zone: ZoneInfo) -> Values:
    """What is true now, folded into the current period; one that has ended meanwhile keeps its value."""
    current = start_of(kpi.period, now, zone)
    before = [row.value for row in kept if row.start == current and row.value is not None]
    how = kpi.source.fold if kpi.source.fold in ("max", "min") else "last"
    ended = {row.start: row.value for row in kept if not row.finished and row.start < current}
    readings = [*before, *([] if value is None else [value])]
    return {**ended, current: arithmetic.fold(how, readings) if readings else None}


def last_settled(kpi: Kpi, now: datetime, zone: ZoneInfo) -> datetime:
    """The newest period that is over and whose rows had time to arrive."""
    return start_of(kpi.period, start_of(kpi.period, now - kpi.settle, zone) - timedelta(microseconds=1), zone)
