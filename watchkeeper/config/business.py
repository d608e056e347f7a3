"""``business:`` key figures, shops and predictions. The arithmetic is in ``analytics/``."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from watchkeeper.clock import time_zones
from watchkeeper.config.types import Duration

Period = Literal["hour", "day", "week", "month"]
Fold = Literal["", "sum", "last", "max", "min", "mean", "count"]
#: Names become values of the label ``kpi``.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
#: A table or column, with its schema where it has one: nothing else reaches the statement.
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}$")]
#: Options that each kind of source needs.
NEEDS = {
    "sql": ("url", "query"),
    "http": ("url", "path"),
    "csv": ("file",),
    "promql": ("query",),
    "ratio": ("numerator", "denominator"),
}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone_or_empty(name: str) -> str:
    if name and name not in time_zones():
        raise ValueError(f"{name!r} is not a time zone; write one like Asia/Shanghai or UTC")
    return name


class KpiSource(Section):
    """Where a figure comes from. Which options count depends on ``kind``."""

    kind: Literal["sql", "http", "csv", "promql", "ratio"]
    url: SecretStr = SecretStr("")  #: sql: SQLAlchemy URL; http: address
    query: str = ""  #: sql: with :start and :end asked once a period, else all rows at once; promql: an expression
    value: str = ""  #: sql, csv, http: column or field with the number; empty: sql the only one, csv `value`
    time: str = (
        ""  #: sql, csv, http: column or field with the time; empty: sql and http say what is true now, csv `date`
    )
    time_format: Literal["datetime", "epoch", "epoch_ms"] = "datetime"  #: how times are written
    time_zone: Annotated[str, AfterValidator(_zone_or_empty)] = ""  #: zone of times that name none; empty: UTC
    fold: Fold = ""  #: many readings of a period as one; empty: sum of rows with a time, else the last
    path: str = ""  #: http: place in the JSON, for example data.items or data.0.value
    headers: dict[str, SecretStr] = {}  #: http: sent along
    file: Path | None = None  #: csv: relative to the configuration file
    numerator: str = ""  #: ratio: name of a KPI
    denominator: str = ""  #: ratio: name of a KPI
    minor_units: int = Field(default=0, ge=0, le=6)  #: digits behind the point in integer money: 2 for cents
    age: bool = False  #: sql: the value is a moment, and its age in seconds the figure; none at all is 0
    timeout: Duration = timedelta(seconds=10)  #: for one statement or request

    @model_validator(mode="after")
    def _complete(self) -> KpiSource:
        empty = (None, "", SecretStr(""))
        missing = [name for name in NEEDS[self.kind] if getattr(self, name) in empty]
        if missing:
            raise ValueError(f"a source of kind {self.kind} needs {' and '.join(missing)}")
        return self


class Relative(Section):
    """A target against another value instead of a number."""

    change: Decimal  #: -0.5: half of it; 0.2: a fifth more
    to: Literal["previous", "last_week", "last_year", "baseline"] = "previous"
    baseline: Decimal | None = None  #: the value itself
    baseline_date: date | None = None  #: or a day of the period whose value is frozen as baseline when first known

    @model_validator(mode="after")
    def _baseline(self) -> Relative:
        if (self.to == "baseline") != (self.baseline is not None or self.baseline_date is not None):
            raise ValueError("to: baseline needs baseline or baseline_date, and nothing else takes them")
        return self


class Kpi(Section):
    """One key figure."""

    name: Name
    title: str = ""  #: for people; empty: the name
    owner: str = ""  #: who answers for it
    unit: str = "count"  #: count, ratio, seconds, score, bytes or a currency such as CNY
    period: Period = "day"
    direction: Literal["up", "down", "band"] = "up"  #: which way is better
    target: Decimal | None = None  #: for up the least, for down the most that is wanted
    band: Annotated[list[Decimal], Field(min_length=2, max_length=2)] | None = None  #: for band: [low, high]
    relative: Relative | None = None  #: a target against another value
    warn: Decimal = Field(default=Decimal(0), ge=0, le=1)  #: share of the target from which a good value is amber
    #: of a ratio: a period whose denominator is smaller is unknown, neither judged nor learned from
    least_volume: Decimal = Field(default=Decimal(0), ge=0)
    source: KpiSource
    role: str = ""  #: transactions, conversion, payment_success ...: the label that the shipped rules look for
    group: str = ""  #: figures of one group stand together; `funnel` draws a funnel
    settle: Duration = timedelta(0)  #: how long after a period its rows may still be missing
    restate: Duration = timedelta(days=3)  #: how long after a period late rows still change it
    predict: bool = False  #: forecast it, and score the forecasts later

    @model_validator(mode="after")
    def _goal(self) -> Kpi:
        if (self.direction == "band") != (self.band is not None):
            raise ValueError("direction: band and band: [low, high] belong together")
        if self.band is not None and self.band[0] >= self.band[1]:
            raise ValueError("band needs its lower edge first")
        if self.least_volume and self.source.kind != "ratio":
            raise ValueError("least_volume is of a ratio: its denominator counts")
        if self.relative is not None and (self.target is not None or self.band is not None):
            raise ValueError("write target, band or relative, only one of them")
        return self


class Shop(Section):
    """A shop database: orders, revenue, payment success, active users, funnel, refunds and stuck jobs by themselves."""

    name: Name
    url: SecretStr  #: SQLAlchemy URL
    owner: str = ""
    currency: str = Field(default="CNY", pattern=r"^[A-Z]{3}$")
    period: Period = "day"
    orders: Identifier = "orders"  #: table
    state: Identifier = "status"  #: column with pending, paid, failed, cancelled, refunded
    amount: Identifier = "amount"  #: column with integer minor units (cents)
    user: Identifier = "user_id"  #: column with who ordered
    created: Identifier = "created_at"  #: column with the time of the order
    time_format: Literal["datetime", "epoch", "epoch_ms"] = "datetime"
    time_zone: Annotated[str, AfterValidator(_zone_or_empty)] = ""  #: zone of times that name none; empty: UTC
    minor_units: int = Field(default=2, ge=0, le=6)
    jobs: Identifier | None = None  #: table of jobs with queued, processing, completed, failed; none: no such figure
    job_state: Identifier = "status"  #: column of jobs
    job_created: Identifier = "created_at"  #: column of jobs
    #: of payment success, conversion and refunds: a period with fewer orders to count by is unknown
    least_volume: Decimal = Field(default=Decimal(0), ge=0)
    payment_target: Decimal = Decimal("0.98")  #: least share of paid orders among those paid or failed
    refund_limit: Decimal | None = None  #: most share of refunded orders among those paid
    stuck_limit: Duration = timedelta(minutes=15)  #: longest wait of a job
    predict: bool = True  #: forecast orders, revenue and active users


class Predictions(Section):
    every: Duration = timedelta(days=1)  #: how often a figure is forecast anew
    horizons: list[Literal[7, 30, 90]] = Field(default=[7, 30, 90], min_length=1)  #: days ahead
    method: str = ""  #: kind of forecaster; empty: forecasting.method


class Business(Section):
    enabled: bool = True
    every: Duration = timedelta(minutes=5)  #: how often figures are read
    history: Duration = timedelta(days=120)  #: how far back periods are filled in when a source keeps its history
    kpis: list[Kpi] = []
    shops: list[Shop] = []
    predictions: Predictions = Predictions()

    @model_validator(mode="after")
    def _names(self) -> Business:
        from watchkeeper.config.shop import all_kpis

        found = all_kpis(self)
        names = [kpi.name for kpi in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two KPIs share the name {twice[0]!r}; names must differ")
        periods = {kpi.name: kpi.period for kpi in found if kpi.source.kind != "ratio"}
        for kpi in found:
            _check_ratio(kpi, periods)
        return self


def _check_ratio(kpi: Kpi, periods: dict[str, Period]) -> None:
    if kpi.source.kind != "ratio":
        return
    for name in (kpi.source.numerator, kpi.source.denominator):
        if name not in periods:
            raise ValueError(f"KPI {kpi.name!r} is a ratio of {name!r}, which is no KPI with a source of its own")
        if periods[name] != kpi.period:
            raise ValueError(f"KPI {kpi.name!r} counts by {kpi.period}, but {name!r} by {periods[name]}")
