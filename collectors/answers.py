"""What makes an answer good: a text in it, an RE2 pattern, values in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from watchkeeper.errors import CollectError

from .kpi_http import at_path

#: What JSON assertions compare with.
Expected = str | int | float | bool | None


def check_pattern(pattern: str, key: str) -> None:
    """Raises ValueError, which names the key, for what is no RE2 pattern."""
    try:
        found(pattern, "")
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise ValueError(f"{key} is no RE2 pattern: {error}") from None


def found(pattern: str, text: str) -> bool:
    """The pattern is somewhere in the text. Raises ValueError."""
    if not pattern:
        return True
    import pyarrow as pa  # the RE2 engine is heavy, and only patterns need it
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(pa.array([text], pa.string()), pattern)[0].as_py())


def parsed(body: bytes) -> Any:
    """JSON. Raises CollectError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise CollectError("the answer is no JSON", reason="json") from None


def as_expected(document: Any, expected: Mapping[str, Expected]) -> bool:
    """Every path (``data.items.0.state``) leads to exactly this value; true is not 1."""
    for path, value in expected.items():
        try:
            there = at_path(document, path)
        except CollectError:
            return False
        if there != value or isinstance(there, bool) != isinstance(value, bool):
            return False
    return True
