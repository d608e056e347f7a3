"""PromQL answered by the server that keeps the samples, where that gives what the reader must see.

Pages ask the server: it answers where the samples are. Here is answered what the server does not show yet (the newest
steps of series this engine writes), what it has no words for (newer functions), and what is all here anyway.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Matcher
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql import nodes
from watchkeeper.promql.engine import Asked, Engine
from watchkeeper.promql.parse import TOO_DEEP, parse, selectors
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, StringValue, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper.ports import SampleReader

#: Words in which servers say that they do not know the language's newer parts, besides Prometheus's ``bad_data``.
UNKNOWN_WORDS = ("unparsed", "unexpected", "unsupported", "unknown", "cannot parse")


class Answering(Protocol):
    """A reader whose server answers PromQL itself."""

    @property
    def shown_until_ms(self) -> int:
        """Before this time the server shows everything."""
        ...

    def held(self, matchers: Sequence[Matcher], start_ms: int) -> bool:
        """Whether everything of these series from that time on is here."""
        ...

    def ours(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> bool:
        """Whether some of these series are written here."""
        ...

    def query(self, path: str, parameters: list[tuple[str, str]]) -> Any:
        """``data`` of the server's answer. Raises QueryError; ``bad_data`` is a question it cannot read."""
        ...


class Pushed(Engine):
    """An engine that lets the server answer. Its parent answers the rest."""

    def __init__(self, reader: SampleReader, server: Answering, **options: Any) -> None:
        super().__init__(reader, **options)
        self._server = server
        self._back = timedelta(milliseconds=self._lookback_ms)

    def instant(self, expr: str, at_ms: int, asked: Asked | None = None) -> Result:
        try:
            node = parse(expr)
        except RecursionError:
            raise QueryError(TOO_DEEP) from None
        fresh = at_ms >= self._server.shown_until_ms and not _pinned(node) and self._all_ours(expr, at_ms)
        if fresh or self._here(expr, node, at_ms):
            return self.instant_of(node, at_ms, asked)
        try:
            moment = [("query", expr), ("time", f"{at_ms / 1000:.3f}")]
            data = self._server.query("/api/v1/query", [*moment, *self._manner(asked)])
        except QueryError as error:
            if not _not_understood(error):
                raise
            return _noted(self.instant_of(node, at_ms, asked), error)
        return _result(data, at_ms)

    def range(self, expr: str, start_ms: int, end_ms: int, step_ms: int, asked: Asked | None = None) -> RangeMatrix:
        try:
            node = parse(expr)
        except RecursionError:
            raise QueryError(TOO_DEEP) from None
        if not self._pushable(expr, node, start_ms, end_ms, step_ms):
            return self.range_of(node, start_ms, end_ms, step_ms, asked)
        fresh = self._first_fresh(expr, node, start_ms, end_ms, step_ms)
        try:
            older = self._answered(expr, (start_ms, min(fresh - step_ms, end_ms), step_ms), asked)
        except QueryError as error:
            if not _not_understood(error):
                raise
            return _noted_range(self.range_of(node, start_ms, end_ms, step_ms, asked), error)
        if fresh > end_ms:
            return older
        return _side_by_side(older, self.range_of(node, fresh, end_ms, step_ms, asked))

    # --- who answers ---

    def _pushable(self, expr: str, node: nodes.Node, start_ms: int, end_ms: int, step_ms: int) -> bool:
        """Wrong questions hear the same words from whatever store; and what is all here is answered here."""
        wrong = step_ms <= 0 or end_ms < start_ms or isinstance(node, nodes.Range | nodes.Subquery | nodes.Text)
        too_many = step_ms > 0 and (end_ms - start_ms) // step_ms > self._limits.max_points_per_series
        if wrong or too_many or self._here(expr, node, start_ms):
            return False
        return self._first_fresh(expr, node, start_ms, end_ms, step_ms) > start_ms

    def _here(self, expr: str, node: nodes.Node, start_ms: int) -> bool:
        """Everything the question reads is held here."""
        return not _pinned(node) and all(
            self._server.held(matchers, start_ms - back) for matchers, back in self._reads(expr)
        )

    def _all_ours(self, expr: str, end_ms: int) -> bool:
        found = self._reads(expr)
        return bool(found) and all(self._server.ours(matchers, end_ms - back, end_ms) for matchers, back in found)

    def _reads(self, expr: str) -> list[tuple[tuple[Matcher, ...], int]]:
        """Every selector, and how far before the step it looks, in milliseconds."""
        return [
            (matchers, round((max(window, self._back) + self._back + offset) / timedelta(milliseconds=1)))
            for matchers, window, offset in selectors(expr)
        ]

    def _first_fresh(self, expr: str, node: nodes.Node, start_ms: int, end_ms: int, step_ms: int) -> int:
        """The first step that is answered here; after the end where the server answers all."""
        behind = end_ms + step_ms
        shown = self._server.shown_until_ms
        if end_ms < shown or _pinned(node) or not self._all_ours(expr, end_ms):
            return behind
        return start_ms + max(-(-(shown - start_ms) // step_ms), 0) * step_ms

    def _answered(self, expr: str, steps: tuple[int, int, int], asked: Asked | None) -> RangeMatrix:
        start_ms, end_ms, step_ms = steps
        span = [("start", f"{start_ms / 1000:.3f}"), ("end", f"{end_ms / 1000:.3f}"), ("step", f"{step_ms / 1000:.3f}")]
        data = self._server.query("/api/v1/query_range", [("query", expr), *span, *self._manner(asked)])
        return _matrix(data, np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64))

    def _manner(self, asked: Asked | None) -> list[tuple[str, str]]:
        """The lookback in Prometheus's word and in VictoriaMetrics's; and no cached answers of the latter, which would
        hide what arrived late. Who does not know a word passes over it.
        """
        lookback = self._lookback_ms if asked is None or asked.lookback_ms is None else asked.lookback_ms
        timeout = self._limits.timeout_seconds if asked is None else asked.timeout_seconds
        limits = [] if timeout is None else [("timeout", f"{timeout:g}")]
        return [("nocache", "1"), ("max_lookback", f"{lookback}ms"), ("lookback_delta", f"{lookback}ms"), *limits]


def _pinned(node: nodes.Node) -> bool:
    """Whether ``@`` is used: what is read then does not follow from the step, and ``end()`` is the whole question's."""
    return any(getattr(one, "at", None) is not None for one in nodes.walk(node))


def _not_understood(error: QueryError) -> bool:
    return error.kind == "bad_data" or any(word in str(error) for word in UNKNOWN_WORDS)


def _noted(answer: Result, error: QueryError) -> Result:
    """Whoever asks learns that the server did not answer this, and why."""
    answer.infos.append(f"evaluated over raw samples, the sample server does not understand it: {error}")
    return answer


def _noted_range(answer: RangeMatrix, error: QueryError) -> RangeMatrix:
    _noted(answer, error)
    return answer


def _result(data: Any, at_ms: int) -> Result:
    """The server's instant answer as ours would be."""
    try:
        kind, rows = data["resultType"], data["result"]
        if kind == "vector":
            values = np.array([float(row["value"][1]) for row in rows], dtype=np.float64)
            return Vector(series=tuple(_labels(row) for row in rows), values=values, time_ms=at_ms)
        if kind == "scalar":
            return Scalar(value=float(rows[1]), time_ms=at_ms)
        if kind == "string":
            return StringValue(value=str(rows[1]), time_ms=at_ms)
        times = np.unique(np.array([_ms(point) for row in rows for point in row["values"]], dtype=np.int64))
        return _matrix(data, times)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise QueryError("the sample server answers nothing that Prometheus would", kind="execution") from None


def _matrix(data: Any, times: IntArray) -> RangeMatrix:
    try:
        if data["resultType"] != "matrix":
            raise ValueError(data["resultType"])
        rows = sorted(data["result"], key=_labels)
        values = np.full((len(rows), len(times)), np.nan)
        present = np.zeros(values.shape, bool)
        for place, row in enumerate(rows):
            _fill(row["values"], times, values[place], present[place])
        return RangeMatrix(series=tuple(_labels(row) for row in rows), times=times, values=values, present=present)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise QueryError("the sample server answers nothing that Prometheus would", kind="execution") from None


def _fill(points: Any, times: IntArray, values: FloatArray, present: BoolArray) -> None:
    at = np.array([_ms(point) for point in points], dtype=np.int64)
    place = np.searchsorted(times, at)
    known = place < len(times)
    known[known] = times[place[known]] == at[known]
    values[place[known]] = np.array([float(point[1]) for point in points], dtype=np.float64)[known]
    present[place[known]] = True


def _ms(point: Any) -> int:
    return round(float(point[0]) * 1000)


def _labels(row: Any) -> Labels:
    return tuple(sorted((str(name), str(value)) for name, value in row["metric"].items()))


def _side_by_side(older: RangeMatrix, newer: RangeMatrix) -> RangeMatrix:
    """One answer of the steps before and the steps after."""
    series = tuple(sorted({*older.series, *newer.series}))
    rows = {one: place for place, one in enumerate(series)}
    times = np.concatenate([older.times, newer.times])
    values, present = np.full((len(series), len(times)), np.nan), np.zeros((len(series), len(times)), bool)
    for part, low in ((older, 0), (newer, len(older.times))):
        places = np.array([rows[one] for one in part.series], dtype=np.intp)
        values[places, low : low + len(part.times)] = part.values
        present[places, low : low + len(part.times)] = part.present
    return RangeMatrix(
        series=series, times=times, values=values, present=present,
        warnings=[*older.warnings, *newer.warnings], infos=[*older.infos, *newer.infos],
    )  # fmt: skip
