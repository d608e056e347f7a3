"""PromQL as the rooms ask it: instant answers as (labels, value) pairs, and how fresh their samples are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from watchkeeper.clock import from_ms, to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Matcher
from watchkeeper.promql import Engine, RangeMatrix, Scalar, StringValue, Vector, selectors


class Ask:
    """Fits ``watchkeeper.ports.Query`` and the ``newest`` that observations need."""

    def __init__(self, promql: Engine) -> None:
        self.promql = promql

    def __call__(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        result = self.promql.instant(expr, to_ms(at))
        if isinstance(result, Vector):
            return list(zip(result.series, (float(value) for value in result.values), strict=True))
        if isinstance(result, Scalar):
            return [((), result.value)]
        kind = "string" if isinstance(result, StringValue) else "range vector"
        assert isinstance(result, StringValue | RangeMatrix)
        raise QueryError(f"{expr!r} answers a {kind}; a rule needs an instant vector or a scalar")

    def newest(self, expr: str, at: datetime) -> datetime | None:
        """The newest sample of the selector whose newest is oldest: evidence is as fresh as its stalest part."""
        moments = [self.newest_of(matchers, at) for matchers, _window, _offset in selectors(expr)]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None

    def newest_of(self, matchers: Sequence[Matcher], at: datetime) -> datetime | None:
        """The newest sample that one selector sees."""
        text = "{" + ",".join(written(one) for one in matchers) + "}"
        rows = self(f"max(timestamp({text}))", at)
        return from_ms(rows[0][1] * 1000) if rows else None


def written(matcher: Matcher) -> str:
    value = matcher.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{matcher.name}{matcher.op}"{value}"'
