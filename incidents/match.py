"""Label matchers over many alerts at once, written as ``team=~"db|cache"``. Regexes are RE2, anchored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, MatchOp
from watchkeeper.promql.matching import matches

TEXT = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"([^"]*)"|'([^']*)'|(.*?))\s*""", re.DOTALL)


def read_matcher(text: str) -> Matcher:
    """One matcher; ValueError when it cannot be read."""
    found = TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r} is no matcher; write for example team="backend" or job=~"web|api"')
    name, operator, *values = found.groups()
    return _checked(Matcher(name, MatchOp(operator), next((value for value in values if value is not None), "")))


def read_matchers(value: Any) -> Any:
    """From a mapping (equality), a list of texts, or a list of [label, operator, value]."""
    if isinstance(value, Mapping):
        return tuple(Matcher(str(name), MatchOp.EQUAL, str(text)) for name, text in value.items())
    if isinstance(value, str):
        return (read_matcher(value),)
    if not isinstance(value, Sequence):
        raise ValueError('matchers are a list of texts like team="backend", or a mapping of labels to values')
    return tuple(_one(item) for item in value)


def _one(item: Any) -> Matcher:
    if isinstance(item, Matcher):
        return item
    if isinstance(item, str):
        return read_matcher(item)
    name, operator, text = item
    return _checked(Matcher(str(name), MatchOp(operator), str(text)))


def _checked(matcher: Matcher) -> Matcher:
    try:
        matches(matcher, [""])
    except QueryError as error:
        raise ValueError(f"{matcher.name}: {error}") from None
    return matcher


Matchers = Annotated[tuple[Matcher, ...], BeforeValidator(read_matchers)]


def fitting(matchers: Iterable[Matcher], labels: Sequence[Mapping[str, str]]) -> list[bool]:
    """For each label set whether every matcher accepts it; an absent label is empty."""
    kept = [True] * len(labels)
    for matcher in matchers:
        values = sorted({one.get(matcher.name, "") for one in labels})
        accepts = dict(zip(values, matches(matcher, values), strict=True))
        kept = [so_far and accepts[one.get(matcher.name, "")] for so_far, one in zip(kept, labels, strict=True)]
    return kept
