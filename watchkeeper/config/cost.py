"""``cost:`` bills, prices of own hosts, currencies and budgets. The arithmetic is in ``analytics/cost*.py``."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.types import Duration

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[Decimal, Field(ge=0, allow_inf_nan=False, max_digits=24, decimal_places=6)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(Section):
    """Which column of a bill says what; the text of the first line."""

    date: str  #: day, month or start of what is charged
    amount: str  #: what is charged
    end: str = ""  #: last day of what is charged, that day included; empty: the day or month itself
    service: str = ""  #: empty: the name of the source
    currency: str = ""  #: empty: the source's currency
    sku: str = ""
    quantity: str = ""
    unit: str = ""
    category: str = ""  #: usage, purchase, tax, credit, refund, adjustment, or 用量, 购买, 税, 抵扣, 退款, 调账
    provider: str = ""
    tags: dict[str, str] = {}  #: tag -> column


class CostSource(Section):
    name: Name  #: letters, digits, `_ . -`; unique
    kind: Literal["focus_csv", "bill_csv"]
    files: list[str] = Field(min_length=1)  #: paths or patterns such as bills/*.csv, relative to this file; .gz too
    corrections: Literal["period", "file"] = (
        "period"  #: a newer file of the same account and month replaces the older; `file`: parts of one month add up
    )
    columns: Columns | None = None  #: bill_csv: which column says what
    currency: Currency | None = None  #: bill_csv: of amounts that name none
    encoding: Literal["", "utf-8", "gb18030"] = ""  #: empty: found by looking

    @model_validator(mode="after")
    def _needs(self) -> CostSource:
        if (self.kind == "bill_csv") != (self.columns is not None):
            raise ValueError("a source of kind bill_csv needs columns, and focus_csv takes none")
        if self.columns is not None and not self.columns.currency and self.currency is None:
            raise ValueError("write currency, or columns.currency, so that no amount is without one")
        return self


class HostPrice(Section):
    """What a machine of one's own costs a month; every day has its exact share."""

    name: Name
    price: Amount  #: a month
    currency: Currency
    since: date  #: first day
    until: date | None = None  #: last day, that day included
    service: str = "hosts"
    tags: dict[str, str] = {}

    @model_validator(mode="after")
    def _order(self) -> HostPrice:
        if self.until is not None and self.until < self.since:
            raise ValueError("until lies before since")
        return self


class Budget(Section):
    """What may be spent. Without service and tags it takes in everything."""

    name: Name
    title: str = ""  #: for people; empty: the name
    owner: str = ""
    amount: Amount  #: a period
    currency: Currency
    period: Literal["month", "quarter", "once"] = "month"
    since: date | None = None  #: once: first day
    until: date | None = None  #: once: last day, that day included
    service: str = ""  #: only this service
    tags: dict[str, str] = {}  #: only charges with all of these tags
    warn: Decimal = Field(default=Decimal("0.8"), gt=0, le=10)  #: share of the amount that warns
    breach: Decimal = Field(default=Decimal(1), gt=0, le=10)  #: share that breaches; 1.15: a deviation of 15 % is one
    part_of: str = ""  #: name of the budget that this one is a part of

    @model_validator(mode="after")
    def _lines(self) -> Budget:
        if self.warn > self.breach:
            raise ValueError("warn lies above breach")
        if (self.period == "once") != (self.since is not None and self.until is not None):
            raise ValueError("period: once needs since and until, and other periods take none")
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ValueError("until lies before since")
        return self


class Cost(Section):
    enabled: bool = True
    every: Duration = timedelta(minutes=5)  #: how often files are looked at
    basis: Literal["billed", "effective"] = "billed"  #: which cost of a bill is shown and budgeted
    currency: Currency = "CNY"  #: in which everything is added up, where rates say how
    rates: dict[Currency, Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]] = {}  #: one of it in `currency`
    sources: list[CostSource] = []
    hosts: list[HostPrice] = []
    budgets: list[Budget] = []

    @model_validator(mode="after")
    def _names(self) -> Cost:
        for what, names in (
            ("sources", [each.name for each in self.sources]),
            ("hosts", [each.name for each in self.hosts]),
            ("budgets", [each.name for each in self.budgets]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what} share the name {twice[0]!r}; names must differ")
        if "hosts" in [each.name for each in self.sources]:
            raise ValueError("no source may be called 'hosts': prices of hosts are kept under that name")
        known = {each.name for each in self.budgets}
        for each in self.budgets:
            if each.part_of and (each.part_of not in known or each.part_of == each.name):
                raise ValueError(f"budget {each.name!r} is part of {each.part_of!r}, which is no other budget")
        return self
