"""``catalogue:`` the services there are, what each is, whose it is and what it depends on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.types import Duration, Quantity, Switch
from watchkeeper.environments import environment_of

LONGEST_NAME = 60
#: Names become values of the label ``service`` and parts of source names; letters are those of every script.
Name = Annotated[str, Field(pattern=r"^[\w.-]{1,60}$")]
Environment = Annotated[str, AfterValidator(environment_of)]
#: What an inventory's columns can say of a machine or service.
FIELDS = (
    "name", "kind", "title", "tier", "owner", "environment", "region", "pool", "addresses", "port", "depends_on",
    "replicas", "contacts", "cpu", "memory", "disk",
)  # fmt: skip


def _field(name: str) -> str:
    if name not in FIELDS:
        raise ValueError(f"{name!r} is nothing an inventory can say; it says {', '.join(FIELDS)}")
    return name


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(Section):
    """One service. ``kind`` brings its collectors, golden signals, rules, objectives and page."""

    name: Name
    kind: str = ""  #: a service kind: `watchkeeper services kinds` lists them; empty: none of its own
    title: str = ""  #: for people; empty: the name
    tier: str = ""  #: core, agent, support or one of objectives.tiers
    owner: str = ""  #: who answers for it
    environment: Environment = ""  #: DEV, TEST, STAGING, PROD; empty: that of the engine
    region: str = ""
    pool: str = ""  #: machines that are bought together
    addresses: list[str] = []  #: host:port or URL, one an instance
    options: dict[str, Any] = Field(default={}, repr=False)  #: options of its collectors, such as user and password
    interval: Duration | None = None  #: of its collectors; none: collect.interval
    depends_on: list[Name] = []  #: services it calls
    replicas: Annotated[int, Field(ge=0)] | None = None  #: instances that should run
    requests: dict[str, Quantity] = {}  #: memory, cpu, gpu, disk ...: guaranteed
    limits: dict[str, Quantity] = {}  #: the same, at most; also connections, cache ...
    links: dict[str, str] = {}  #: word -> address, for example runbook
    contacts: list[str] = []  #: people, in order
    logs: list[str] = []  #: patterns of its log files on this machine
    objectives: Switch = True  #: take on the promises of its kind

    @model_validator(mode="after")
    def _sound(self) -> Entry:
        if self.name in self.depends_on:
            raise ValueError(f"{self.name} depends on itself; take it out of depends_on")
        twice = sorted({one for one in self.addresses if self.addresses.count(one) > 1})
        if twice:
            raise ValueError(f"the address {twice[0]} is there twice")
        return self


class Inventory(Section):
    """A CSV of machines or services, as an asset list is exported."""

    file: Path  #: relative to the configuration file
    encoding: str = ""  #: empty: found by looking, UTF-8 or GB 18030
    #: field -> name of its column; empty: found by the usual names, English and Chinese
    columns: dict[Annotated[str, AfterValidator(_field)], str] = {}
    kinds: dict[str, str] = {}  #: word in the list -> service kind, beside the names that kinds have
    options: dict[str, dict[str, Any]] = Field(default={}, repr=False)  #: kind -> options of its collectors


class Catalogue(Section):
    services: list[Entry] = []
    files: list[Path] = []  #: YAML files with more `services`, relative to this file
    inventories: list[Inventory] = []
    kinds: list[Path] = []  #: folders with service kinds of your own, beside the shipped ones
    observe: Switch = True  #: learn who calls whom from the connections of this machine
    every: Duration = timedelta(minutes=1)  #: how often coverage and dependencies are looked at
    coverage_target: Annotated[float, Field(gt=0, le=1)] = 0.9  #: share of services that should be fully watched
