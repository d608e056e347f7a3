"""Charges by day and the bills they came from. Amounts are decimal text and come back to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, insert, select

from watchkeeper.model import DayCharge
from watchkeeper.store.state.repositories.common import Repository, insert_many
from watchkeeper.store.state.tables import charges, cost_files


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFile:
    """A bill as it was taken in."""

    source: str
    file: str
    sha256: str
    size: int
    modified_at: datetime
    imported_at: datetime
    rows: int  #: rows taken in
    bad_rows: int
    bad: Sequence[Mapping[str, Any]]  #: the first of them: line, column, reason, detail
    periods: Sequence[str]  #: accounts and months it speaks of


class Charges(Repository):
    def files(self) -> list[CostFile]:
        query = select(cost_files).order_by(cost_files.c.source, cost_files.c.file)
        return [CostFile(**row) for row in self.connection.execute(query).mappings()]

    def replace(self, found: CostFile, days: Iterable[DayCharge]) -> None:
        """Everything of this file anew: what an earlier state of it said is gone."""
        for table in (charges, cost_files):
            self.connection.execute(delete(table).where(table.c.source == found.source, table.c.file == found.file))
        names = CostFile.__dataclass_fields__
        self.connection.execute(insert(cost_files).values({name: getattr(found, name) for name in names}))
        insert_many(self.connection, charges, [_row(found.file, day) for day in days])

    def days(self, source: str, file: str) -> list[DayCharge]:
        """In the order in which they were kept."""
        query = select(charges).where(charges.c.source == source, charges.c.file == file).order_by(charges.c.id)
        return [_day(row) for row in self.connection.execute(query).mappings()]


def _row(file: str, day: DayCharge) -> dict[str, Any]:
    return {
        "source": day.source, "file": file, "period": day.period, "day": day.day.isoformat(), "provider": day.provider,
        "service": day.service, "sku": day.sku, "category": day.category, "currency": day.currency,
        "tags": dict(day.tags), "billed": format(day.billed, "f"), "effective": format(day.effective, "f"),
        "quantity": None if day.quantity is None else format(day.quantity, "f"), "unit": day.unit,
    }  # fmt: skip


def _day(row: Any) -> DayCharge:
    texts = {name: row[name] for name in ("source", "period", "provider", "service", "sku", "category", "currency")}
    return DayCharge(
        **texts,
        day=date.fromisoformat(row["day"]),
        tags=tuple(sorted(row["tags"].items())),
        billed=Decimal(row["billed"]),
        effective=Decimal(row["effective"]),
        quantity=None if row["quantity"] is None else Decimal(row["quantity"]),
        unit=row["unit"],
    )
