"""The key ``expect`` of a remediation: which number its action moves, and where to; else what ``verify`` compares."""

from __future__ import annotations

import math

from watchkeeper.model import Expectation
from watchkeeper.promql import parse

from .fields import Fields
from .shapes import comparison
from .text import promql_text

SENSES = ("at_most", "at_least", "about")
#: What a comparison that holds while something is wrong promises once it is over.
OPPOSITE = {">": "at_most", ">=": "at_most", "<": "at_least", "<=": "at_least", "==": "other_than", "!=": "about"}


def read_expectation(outer: Fields, verify: str) -> Expectation | None:
    """None when nothing can be said beforehand. Raises ConfigError naming the field."""
    value = outer.data.get("expect")
    if value is None:
        return _from_verify(verify)
    fields = Fields(outer.document, value, (*outer.path, "expect"))
    fields.known("metric", *SENSES, "cost_per_hour")
    given = [sense for sense in SENSES if sense in fields.data]
    if len(given) != 1:
        raise fields.error(f"needs exactly one of {', '.join(SENSES)}")
    return Expectation(
        metric=fields.promql("metric"),
        sense=given[0],
        value=_number(fields, given[0]),
        cost_per_hour=_number(fields, "cost_per_hour") if "cost_per_hour" in fields.data else None,
    )


def _from_verify(verify: str) -> Expectation | None:
    found = comparison(parse(verify)) if verify else None
    if found is None:
        return None
    left, operator, limit = found
    return Expectation(metric=promql_text(left), sense=OPPOSITE[operator], value=limit)


def _number(fields: Fields, key: str) -> float:
    value = fields.data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise fields.error("must be a number", key)
    return float(value)
