"""Service kinds: what a monitor set of each consists of, as YAML in ``collectors/presets`` and in users' folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import collectors
from watchkeeper.config.load import translate
from watchkeeper.config.types import Duration
from watchkeeper.config.yaml import AsWritten, parse
from watchkeeper.errors import ConfigError

#: Where the shipped kinds stand.
SHIPPED = Path(collectors.__file__).parent / "presets"
#: The four golden signals (Google, Site Reliability Engineering, chapter 6).
GOLDEN = ("latency", "traffic", "errors", "saturation")
Family = Literal["infrastructure", "application", "business", "security"]
#: What stands for the service's name in PromQL, and what in options is replaced.
SERVICE = "$service"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(Part):
    """One text in both languages."""

    en: str
    zh: str = Field(alias="zh-CN")

    def __getitem__(self, language: str) -> str:
        return self.zh if language == "zh-CN" else self.en


class KindSource(Part):
    """A collector that every service of the kind gets."""

    kind: str  #: of ``collectors.BUILTIN``
    per: Literal["address", "service"] = "address"  #: one for each address, or one for all
    suffix: str = ""  #: what its name ends in, where a kind has several
    interval: Duration | None = None
    options: dict[
        str, Any
    ] = {}  #: {service}, {address}, {base}, {secure}, {authority}, {host}, {port}, {addresses} are replaced
    takes: list[str] = []  #: options of the service that are handed on, under the same names
    when: str = ""  #: only where the service gives this option; empty: always


class KindMetric(Part):
    """One thing that is measured, so that people can look up what a name means."""

    name: str
    type: Literal["gauge", "counter", "histogram", "summary"]
    unit: str = ""  #: seconds, bytes, ratio, count ...
    good: Literal["up", "down", "none"] = "none"  #: the direction that is good
    family: Family | None = None  #: none: that of the kind
    help: Words


class KindPanel(Part):
    """One chart of the service's page."""

    title: Words
    query: str  #: PromQL with $service
    unit: str = ""
    family: Family | None = None  #: none: that of the metrics it draws


class KindObjective(Part):
    """A promise that a service of the kind makes unless it says ``objectives: false``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,30}$")]
    title: Words
    kind: Literal["uptime", "ratio", "threshold"] = "uptime"
    query: str = ""
    good: str = ""
    total: str = ""
    at_most: float | None = None
    at_least: float | None = None
    combine: Literal["worst", "best"] = "worst"
    target: Decimal | None = None  #: none: that of the service's tier


class Kind(Part):
    """Everything a service kind brings."""

    kind: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    title: Words
    about: Words
    family: Family = "infrastructure"
    tier: str = "support"  #: where the service names none
    port: int = 0  #: of an address that names none; 0: addresses say it
    sources: list[KindSource] = []
    packs: list[str] = []  #: rule packs that are loaded as soon as such a service exists
    golden: dict[Literal["latency", "traffic", "errors", "saturation"], str] = {}  #: signal -> PromQL with $service
    metrics: list[KindMetric] = []
    panels: list[KindPanel] = []
    objectives: list[KindObjective] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Kind:
        for what, names in (
            ("metric", [one.name for one in self.metrics]),
            ("objective", [one.name for one in self.objectives]),
            ("source suffix", [one.suffix for one in self.sources if not one.when]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"the {what} {twice[0]!r} is there twice")
        return self


def shipped() -> dict[str, Kind]:
    """Kind -> what it brings, for everything that comes with the product."""
    return dict(_shipped())


@cache
def _shipped() -> dict[str, Kind]:
    """Read once: the files take 0.2 s of processor time, at every check and reload."""
    return read(sorted(SHIPPED.glob("*.yaml")))


def read(paths: Iterable[Path]) -> dict[str, Kind]:
    """Kinds from files; a later file of the same kind replaces an earlier one. Raises ConfigError with the place."""
    return {kind.kind: kind for kind in map(read_one, paths)}


def read_one(path: Path) -> Kind:
    """One file, one kind of the same name."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    document = parse(raw, str(path), environment=AsWritten())
    try:
        kind = Kind.model_validate(document.data)
    except ValidationError as error:
        raise translate(error, document, (), list(Kind.model_fields)) from None
    if kind.kind != path.stem:
        raise document.error(f"the file is {path.name}; a kind stands in a file of its own name", ("kind",))
    return kind


def about_service(query: str, service: str) -> str:
    """The query with the service's name in place of ``$service``, safe inside a quoted matcher."""
    return query.replace(SERVICE, service.replace("\\", "\\\\").replace('"', '\\"'))


def filled(value: Any, words: Mapping[str, Any]) -> Any:
    """Options with ``{address}`` and the like replaced, at any depth; a whole ``{addresses}`` becomes the list."""
    if isinstance(value, dict):
        return {key: filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, words) for inner in value]
    if not isinstance(value, str):
        return value
    for name, word in words.items():
        if value == "{" + name + "}":
            return word
        value = value.replace("{" + name + "}", str(word))
    return value
