"""What lint found, in words a reader can have in either language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

LOCALES = Path(__file__).parent / "locales"


class Level(StrEnum):
    ERROR = "error"  #: does not do what it says
    WARNING = "warning"  #: works, and will probably mislead or annoy


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    rule: str  #: key of the rule, or name of the remediation
    level: Level
    code: str  #: key of the text in locales/*.json
    parameters: Mapping[str, str] = field(default_factory=dict)
    proposal: str = ""  #: PromQL or text to write instead; empty when nothing certain can be proposed
    file: str = ""
    line: int = 0

    @property
    def message(self) -> str:
        return self.text("en")

    def text(self, language: str) -> str:
        return catalogue(language)[self.code].format(**self.parameters)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Texts by key; English for a language we do not have."""
    path = LOCALES / f"{language}.json"
    found: dict[str, str] = json.loads((path if path.exists() else LOCALES / "en.json").read_text(encoding="utf-8"))
    return found
