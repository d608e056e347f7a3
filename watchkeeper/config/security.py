"""``security:`` baselines of who acts on what, learned from lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.logs import Name
from watchkeeper.config.types import Switch

#: What a line can say of an act.
Said = Literal[
    "user", "source", "host", "service", "device", "outcome", "status", "event", "bytes", "times", "time", "latitude",
    "longitude", "place",
]  # fmt: skip
Points = Annotated[float, Field(gt=0, le=100)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ActRule(Section):
    """Lines that tell of an act: who did it, from where, and whether it was refused."""

    name: Name
    match: dict[str, str] = {}  #: label -> RE2 pattern of its whole value; none: every source
    where: str = ""  #: words, fields and patterns as in the search
    pattern: str = ""  #: RE2 with named groups; lines that it does not fit tell of no act
    fields: dict[
        Said, list[str]
    ] = {}  #: what is said -> groups, labels of the source or fields; the first that is there
    refused: str = r"(?i).*(fail|den(y|ied)|refus|reject|invalid|forbid|unauthor|block|false).*"  #: of an outcome
    refused_status: list[str] = ["401", "403", "407", "429"]  #: of an answer over HTTP
    signed_in: str = ""  #: RE2 pattern of an event that is a sign-in, the whole value; empty: none is


class Entities(Section):
    """Users, addresses, machines and services: what is usual for each, and a risk from 0 to 100."""

    enabled: Switch = False
    packs: list[Literal["sign_in", "access", "json"]] = ["sign_in", "access", "json"]  #: shipped rules
    acts: list[ActRule] = []  #: one's own, tried before those
    places: Path | None = None  #: CSV of networks with latitude and longitude
    most: int = Field(default=5000, gt=0, le=100_000)  #: entities of each kind that are remembered
    series_limit: int = Field(default=200, gt=0, le=10_000)  #: entities with a series: those of the highest risk
    step_up: Points = 40.0  #: risk from which another proof of identity is advised
    block: Points = 80.0  #: risk from which a refusal is advised

    @model_validator(mode="after")
    def _fits(self) -> Entities:
        if self.block < self.step_up:
            raise ValueError("block must not be below step_up")
        names = [one.name for one in self.acts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rules share the name {twice[0]!r}; names must differ")
        return self


class Security(Section):
    entities: Entities = Entities()
