"""``logs:`` how long lines are kept, and what is taken out of them before."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

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


class Logs(Section):
    retention: Duration = timedelta(days=15)  #: age at which lines are dropped
    retention_bytes: int | None = None  #: size at which the oldest lines are dropped; none: no limit
    classes: list[LogClass] = []  #: the first that matches says how long a line is kept
    masking: Masking = Masking()

    @model_validator(mode="after")
    def _names_differ(self) -> Logs:
        names = ["default", *(one.name for one in self.classes)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two classes share the name {twice[0]!r}; names must differ, and default is taken")
        return self
