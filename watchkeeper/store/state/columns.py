"""Column types that read the same from SQLite and PostgreSQL, and the canonical JSON they share with the audit."""
# ruff: noqa: ARG002 - the signatures are SQLAlchemy's

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text, TypeDecorator

from watchkeeper.clock import from_ms, to_ms


class Words(TypeDecorator[str]):
    """Text from anywhere: what no database can hold (NUL, half a surrogate pair) becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean_text(value)


class Json(TypeDecorator[Any]):
    """A structure as compact JSON text; NaN is refused by JSON and kept as null."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else dump_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime as milliseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; state keeps aware datetimes only")
        return to_ms(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_ms(value)


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """The text as every database keeps it."""
    if text.isascii() and "\x00" not in text:  # nearly all of it, and a storm brings a million
        return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


#: Made once: ``json.dumps`` with options makes one at every call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def dump_json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN; reading it back and dumping again gives the same text."""
    return _ENCODER.encode(_plain(value))


def _plain(value: Any) -> Any:
    """Only what JSON has. NaN and infinity are null, times ISO-8601, sets sorted lists, anything else its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return clean_text(str(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _plain(item) for key, item in value.items()}
    return _plain_thing(value)


def _plain_thing(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return _plain(value.tolist())
    return clean_text(str(value))


#: 64-bit keys; SQLite numbers rows by itself only for INTEGER PRIMARY KEY.
SERIAL = BigInteger().with_variant(Integer, "sqlite")
