"""Message catalogues: every word a person reads, by key, in Chinese and English."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = ("zh-CN", "en")


@cache
def catalogue(language: str) -> Mapping[str, str]:
    text = files("notifiers").joinpath("locales", f"{language}.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def say(language: str, key: str, **values: object) -> str:
    """The text of a key; values are put in as they are and never read as templates."""
    return catalogue(language)[key].format(**values)
