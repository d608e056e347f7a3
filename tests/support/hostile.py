"""An engine whose names and texts were all chosen by an attacker: what comes from outside, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: As markup, as Markdown, as a component of Dash and as a property of objects.
TEXT = (
    '"><img src=x onerror="window.pwned=1"><a href="javascript:window.pwned=1">x</a>'
    "[x](javascript:window.pwned=1)<svg onload=window.pwned=1>{{7*7}}__proto__"
)
#: Keys whose text comes from exporters, rule files, bills, people or other servers.
FREE = frozenset(
    ("title", "text", "summary", "description", "reason", "detail", "message", "error", "owner", "service", "rule",
     "expr", "query", "pool", "actor", "comment", "note", "proposal", "group", "by", "file", "subject", "team", "host",
     "instance", "series", "acknowledged_by", "subject_id", "channel")
)  # fmt: skip
#: A word of the engine's own, or nothing.
CODE = re.compile(r"[a-z0-9]*(_[a-z0-9]+)*")
MAPPINGS = ("labels", "annotations", "tags", "evidence", "desired")


def poisoned(value: Any, key: str = "") -> Any:
    """The same answer with ``TEXT`` behind every free text, label name and label value."""
    if isinstance(value, Mapping):
        everything = key in MAPPINGS
        found = {name: poisoned(item, "text" if everything else str(name)) for name, item in value.items()}
        return {**found, f"evil{TEXT}": TEXT} if everything else found
    if isinstance(value, list | tuple):
        return [poisoned(item, key) for item in value]
    free = isinstance(value, str) and key in FREE and not CODE.fullmatch(value)
    return value + TEXT if free else value
