"""From which environment to which, and what that makes of names and of words in texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from watchkeeper.errors import ConfigError

#: In the order in which software, and what watches it, is released (SR-012).
ENVIRONMENTS = ("DEV", "TEST", "STAGING", "PROD")


@dataclass(frozen=True, slots=True)
class Step:
    """Upwards, one environment at a time unless ``skip``. Raises ConfigError on any other step."""

    source: str
    target: str
    skip: bool = False

    def __post_init__(self) -> None:
        for option, word in (("--from", self.source), ("--to", self.target)):
            if word not in ENVIRONMENTS:
                raise ConfigError(f"{word!r} is no environment; write one of {', '.join(ENVIRONMENTS)}", key=option)
        source, target = ENVIRONMENTS.index(self.source), ENVIRONMENTS.index(self.target)
        if target <= source:
            raise ConfigError(f"rules are promoted upwards: {' -> '.join(ENVIRONMENTS)}", key="--to")
        if target > source + 1 and not self.skip:
            between = ", ".join(ENVIRONMENTS[source + 1 : target])
            raise ConfigError(f"{between} is left out; promote to it first, or write --skip", key="--to")

    def renamed(self, name: str) -> str:
        """``orders_test`` as ``orders_prod``; a name that has no such word gets it: ``orders-prod``."""
        found, count = re.subn(
            rf"(?<![A-Za-z0-9]){self.source}(?![A-Za-z0-9])",
            lambda word: _like(word.group(), self.target),
            name,
            flags=re.IGNORECASE,
        )
        return found if count else f"{name}-{self.target.lower()}"

    def mentioned(self, text: str) -> bool:
        """The text has the name of the environment left, written as it is, as a word of its own."""
        return re.search(rf"(?<![A-Za-z0-9]){self.source}(?![A-Za-z0-9])", text) is not None


def _like(example: str, word: str) -> str:
    if example.isupper():
        return word
    return word.capitalize() if example.istitle() else word.lower()
