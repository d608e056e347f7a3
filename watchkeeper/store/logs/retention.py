"""How long lines are kept: by class, the first whose labels match."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from watchkeeper.errors import ConfigError
from watchkeeper.model import Labels

#: Class of lines that no other class takes.
DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionClass:
    name: str
    match: Mapping[str, str] = field(default_factory=dict)  #: label -> RE2 pattern of its whole value
    retention: timedelta

    def check(self) -> None:
        """Raises ConfigError for a pattern that is no RE2."""
        for pattern in self.match.values():
            try:
                _matches(pattern, "")
            except ValueError as error:  # pyarrow's ArrowInvalid is one
                raise ConfigError(f"{pattern!r} is no RE2 pattern: {error}") from None


def class_of(labels: Labels, classes: Sequence[RetentionClass]) -> str:
    """Name of the first class that matches; ``default`` when none does."""
    own = dict(labels)
    for one in classes:
        if all(_matches(pattern, own.get(name, "")) for name, pattern in one.match.items()):
            return one.name
    return DEFAULT


def _matches(pattern: str, value: str) -> bool:
    if re.fullmatch(r"[\w\-/ ]*", pattern):  # plain words need no engine
        return pattern == value
    import pyarrow as pa  # RE2 is heavy, and only patterns need it
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(pa.array([value], pa.string()), f"^(?:{pattern})$")[0].as_py())
