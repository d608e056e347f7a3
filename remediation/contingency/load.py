"""Plans from files: whole or not at all, each mistake with its file, line and key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from watchkeeper.config.load import translate
from watchkeeper.config.plans import Plan
from watchkeeper.config.types import format_duration
from watchkeeper.config.yaml import AsWritten, Document, read
from watchkeeper.store.state.columns import dump_json

PACKS = Path(__file__).parent / "packs"


@dataclass(frozen=True, slots=True)
class Known:
    """A plan, the hash of its text, and where it stands."""

    plan: Plan
    version: str
    file: str = ""
    line: int = 0

    @classmethod
    def of(cls, plan: Plan, file: str = "", line: int = 0) -> Known:
        digest = hashlib.sha256(dump_json(definition(plan)).encode()).hexdigest()
        return cls(plan, digest[:12], file, line)


def pack_paths(names: Iterable[str]) -> list[Path]:
    """Files of the shipped plans by name."""
    return [PACKS / f"{name}.yaml" for name in names]


def load(paths: Iterable[Path]) -> list[Known]:
    """Every plan of these files. Raises ConfigError."""
    return [known for path in paths for known in _plans(read(path, environment=AsWritten()))]


def _plans(document: Document) -> list[Known]:
    data = {} if document.data is None else document.data
    if not isinstance(data, dict) or set(data) - {"plans"} or not isinstance(data.get("plans", []), list):
        raise document.error("a file of plans has one key, `plans`, with a list of them", ())
    return [_plan(document, index, row) for index, row in enumerate(data.get("plans", []))]


def _plan(document: Document, index: int, row: Any) -> Known:
    place = ("plans", index)
    try:
        plan = Plan.model_validate(row)
    except ValidationError as error:
        raise translate(error, document, place, list(Plan.model_fields)) from None
    return Known.of(plan, document.file, document.line(place))


def definition(plan: Plan) -> dict[str, Any]:
    """The plan as plain data that reads back as the same plan."""
    found: dict[str, Any] = _plain(plan.model_dump(exclude_defaults=True))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
