"""Key figures: one row a period, restated when late rows come; and every forecast ever made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, select, update

from watchkeeper.store.state.repositories.common import Repository, insert_many
from watchkeeper.store.state.tables import kpi_forecasts, kpi_values


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiValue:
    start: datetime  #: first moment of the period
    value: Decimal | None
    finished: bool  #: the period was over when it was last read
    revisions: int  #: how often the value changed after the period was over
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiForecast:
    made_at: datetime
    target: datetime  #: first moment of the period that was forecast
    step: int  #: how many periods ahead
    quantiles: Mapping[str, float]
    naive: float | None
    scale: float | None
    method: str


class Kpis(Repository):
    def values(self, kpi: str, period: str, since: datetime | None = None) -> list[KpiValue]:
        """In order of time."""
        table = kpi_values
        query = select(table).where(_is(table, kpi, period)).order_by(table.c.start)
        if since is not None:
            query = query.where(table.c.start >= since)
        return [_value(row) for row in self.connection.execute(query).mappings()]

    def put(
        self, kpi: str, period: str, values: Mapping[datetime, Decimal | None], finished_by: datetime, *, at: datetime
    ) -> int:
        """Keep these periods; returns how many finished ones were restated. ``finished_by``: start of the current one.

        A period already kept with the same value and state is left as it is.
        """
        known = {row.start: row for row in self.values(kpi, period, min(values, default=None))}
        fresh: list[dict[str, Any]] = []
        restated = 0
        for start, value in values.items():
            row, finished = known.get(start), start < finished_by
            if row is None:
                fresh.append({"kpi": kpi, "period": period, "start": start, "value": _text(value),
                              "finished": finished, "revisions": 0, "updated_at": at})  # fmt: skip
            elif row.value != value or row.finished != finished:
                late = row.finished and row.value != value
                restated += late
                self._change(kpi, period, row, value, finished=finished, late=late, at=at)
        insert_many(self.connection, kpi_values, fresh)
        return restated

    def _change(
        self, kpi: str, period: str, row: KpiValue, value: Decimal | None, *, finished: bool, late: bool, at: datetime
    ) -> None:
        table = kpi_values
        changed = {"value": _text(value), "finished": finished, "revisions": row.revisions + late, "updated_at": at}
        self.connection.execute(
            update(table).where(_is(table, kpi, period), table.c.start == row.start).values(**changed)
        )

    def keep_forecast(self, kpi: str, period: str, rows: Sequence[KpiForecast]) -> None:
        """One forecast, a row for each period ahead. They are never changed."""
        insert_many(
            self.connection,
            kpi_forecasts,
            [
                {"kpi": kpi, "period": period, "made_at": row.made_at, "target": row.target, "step": row.step,
                 "quantiles": dict(row.quantiles), "naive": row.naive, "scale": row.scale, "method": row.method}
                for row in rows
            ],
        )  # fmt: skip

    def last_made(self, kpi: str, period: str) -> datetime | None:
        """When the newest forecast was made."""
        table = kpi_forecasts
        found: datetime | None = self.connection.execute(
            select(table.c.made_at).where(_is(table, kpi, period)).order_by(table.c.made_at.desc()).limit(1)
        ).scalar()
        return found

    def forecasts(self, kpi: str, period: str, *, until: datetime, since: datetime) -> list[KpiForecast]:
        """Every forecast of periods from ``since`` that start before ``until``, oldest first."""
        table = kpi_forecasts
        query = select(table).where(_is(table, kpi, period), table.c.target < until, table.c.target >= since)
        return [
            _forecast(row)
            for row in self.connection.execute(query.order_by(table.c.made_at, table.c.target)).mappings()
        ]

    def made_count(self, kpi: str, period: str) -> int:
        """How many forecasts were made."""
        table = kpi_forecasts
        query = select(func.count(table.c.made_at.distinct())).where(_is(table, kpi, period))
        return int(self.connection.execute(query).scalar_one())

    def prune(self, before: datetime) -> int:
        """Forecasts of periods long over; the values themselves are small and stay."""
        return self.connection.execute(delete(kpi_forecasts).where(kpi_forecasts.c.target < before)).rowcount


def _is(table: Any, kpi: str, period: str) -> ColumnElement[bool]:
    return and_(table.c.kpi == kpi, table.c.period == period)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _value(row: Any) -> KpiValue:
    value = None if row["value"] is None else Decimal(row["value"])
    return KpiValue(start=row["start"], value=value, finished=row["finished"], revisions=row["revisions"],
                    updated_at=row["updated_at"])  # fmt: skip


def _forecast(row: Any) -> KpiForecast:
    names = ("made_at", "target", "step", "quantiles", "naive", "scale", "method")
    return KpiForecast(**{name: row[name] for name in names})
