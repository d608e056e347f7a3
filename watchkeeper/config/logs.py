"""``logs:`` how long lines are kept, and what is taken out of them before."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.types import Duration, Switch

#: Names of classes stand in file names, names of patterns in what replaces a secret.
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogClass(Section):
    """Lines that are kept for another time than the others."""

    name: Name
    match: dict[str, str] = Field(min_length=1)  #: label -> RE2 pattern of its whole value
    retention: Duration


class Masking(Section):
    rules: dict[Name, Switch] = {}  #: shipped rules switched off, or `ip` on
    patterns: dict[Name, str] = Field(default={}, repr=False)  #: own rules: name -> RE2 pattern


class LogMetric(Section):
    """Lines that become a metric: how many, the sum of a value in them, or how that value is spread."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    type: Literal["count", "sum", "histogram"] = "count"
    match: dict[str, str] = {}  #: label -> RE2 pattern of its whole value; none: every source
    severities: list[Literal["debug", "info", "warning", "error", "critical"]] = []  #: none: lines of every severity
    where: str = ""  #: words, fields and patterns as in the search
    pattern: str = ""  #: RE2 with named groups; lines that it does not fit are not counted
    value: str = ""  #: field or group with the number that is summed or spread
    scale: float = Field(default=1.0, gt=0)  #: factor to the base unit, such as 0.001 for milliseconds
    buckets: list[float] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]  #: upper edges, in the base unit
    labels: dict[Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")], str] = {}  #: label -> field or group
    series_limit: int = Field(default=1000, gt=0, le=100_000)  #: sets of labels; known ones stay, new ones are refused
    forget_after: Duration = timedelta(days=1)  #: a set of labels without a line for this long is dropped

    @model_validator(mode="after")
    def _fits(self) -> LogMetric:
        if (self.type == "count") == bool(self.value):
            raise ValueError("value names the number of a sum or histogram, and a count has none")
        if self.buckets != sorted(set(self.buckets)) or not self.buckets:
            raise ValueError("buckets must be upper edges in ascending order")
        if taken := {"le", "service", "environment"} & self.labels.keys():
            raise ValueError(f"label {min(taken)!r} is set by itself")
        return self


class Templates(Section):
    """Lines counted by what kind of line they are, as learned from the lines."""

    enabled: Switch = False  #: whether kinds of lines are learned and counted
    series_limit: int = Field(default=1000, gt=0, le=100_000)  #: kinds by service and severity; new ones are refused
    forget_after: Duration = timedelta(days=1)  #: a series without a line for this long is dropped


class Logs(Section):
    retention: Duration = timedelta(days=15)  #: age at which lines are dropped
    retention_bytes: int | None = None  #: size at which the oldest lines are dropped; none: no limit
    classes: list[LogClass] = []  #: the first that matches says how long a line is kept
    masking: Masking = Masking()
    metrics: list[LogMetric] = []  #: lines that become series
    count_within: Duration = timedelta(hours=1)  #: lines that happened longer ago when they are read are not counted
    packs: list[Literal["security"]] = []  #: shipped rules of that kind
    templates: Templates = Templates()

    @model_validator(mode="after")
    def _names_differ(self) -> Logs:
        rules = [one.name for one in self.metrics]
        if again := sorted({name for name in rules if rules.count(name) > 1}):
            raise ValueError(f"two metrics share the name {again[0]!r}; names must differ")
        names = ["default", *(one.name for one in self.classes)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two classes share the name {twice[0]!r}; names must differ, and default is taken")
        return self
