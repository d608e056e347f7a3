"""Label matchers applied to text. Regexes are RE2, anchored at both ends, as in Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, MatchOp


def matches(matcher: Matcher, values: Sequence[str]) -> list[bool]:
    """Which values the matcher accepts; regexes are RE2, anchored. Raises QueryError on a bad one."""
    if matcher.op is MatchOp.EQUAL:
        return [value == matcher.value for value in values]
    if matcher.op is MatchOp.NOT_EQUAL:
        return [value != matcher.value for value in values]
    wanted = matcher.op is MatchOp.REGEX
    return [found is wanted for found in fullmatch(matcher.value, values)]


def fullmatch(pattern: str, values: Sequence[str]) -> list[bool]:
    """Which values the RE2 pattern matches from end to end."""
    import pyarrow as pa  # heavy, and only regexes need it
    import pyarrow.compute as pc

    try:
        found: list[Any] = pc.match_substring_regex(pa.array(values, pa.string()), f"^(?s:{pattern})$").to_pylist()
    except pa.ArrowInvalid as error:
        raise QueryError(f"error parsing regexp: {error}") from None
    return [bool(one) for one in found]
