"""Whether an answer is the expected one, with upstream's tolerance."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from watchkeeper.model import format_series
from watchkeeper.promql.histograms.alike import alike
from watchkeeper.promql.histograms.model import Histogram
from watchkeeper.promql.notation import Value
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, StringValue, Vector
from watchkeeper.promql.script import Eval

#: Relative difference allowed (promqltest, defaultEpsilon).
EPSILON = 1e-6


class Mismatch(Exception):  # noqa: N818 - not an error of the program but a finding about an answer
    """The answer is not the expected one."""


def almost_equal(left: float, right: float) -> bool:
    """Equal within EPSILON relative; NaN equals NaN; next to zero nothing but zero itself is near."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if left == right:
        return True
    total, apart = abs(left) + abs(right), abs(left - right)
    if left == 0 or right == 0 or total < sys.float_info.min:
        return apart < EPSILON * sys.float_info.min
    return apart / min(total, sys.float_info.max) < EPSILON


def agree(got: float | Histogram, wanted: Value) -> bool:
    """The same kind of sample, and equal within the tolerance."""
    if isinstance(got, Histogram):
        return isinstance(wanted, Histogram) and alike(got, wanted, almost_equal)
    return isinstance(wanted, float) and almost_equal(got, wanted)


def _cell(value: float, histogram: Histogram | None) -> float | Histogram:
    return value if histogram is None else histogram


def check(case: Eval, answer: Result) -> None:
    """Raises Mismatch unless the answer's values are those expected."""
    match answer:
        case Scalar():
            _scalar(case, answer)
        case StringValue():
            if answer.value != case.string:
                raise Mismatch(f"expected the string {case.string!r}, got {answer.value!r}")
        case Vector():
            _vector(case, answer)
        case RangeMatrix():
            _matrix(case, answer)


def check_remarks(case: Eval, answer: Result) -> None:
    """Raises Mismatch unless warnings and infos are those demanded."""
    for kind, remarks in (("warn", answer.warnings), ("info", answer.infos)):
        demands = case.expected.get(kind, [])
        if remarks and case.expects(f"no_{kind}"):
            raise Mismatch(f"no {kind} was expected, got {remarks}")
        for demand in demands:
            if not any(demand.matches(remark) for remark in remarks):
                raise Mismatch(f"expected {kind} {demand.text or demand.pattern!r}, got {remarks}")
        for remark in remarks:
            if demands and not any(demand.matches(remark) for demand in demands):
                raise Mismatch(f"unexpected {kind} {remark!r}")


def _scalar(case: Eval, answer: Scalar) -> None:
    if case.scalar is None or not almost_equal(answer.value, case.scalar):
        raise Mismatch(f"expected {case.scalar}, got scalar {answer.value}")


def _vector(case: Eval, answer: Vector) -> None:
    if case.scalar is not None:
        raise Mismatch(f"expected the scalar {case.scalar}, got a vector")
    expected = list(case.rows)
    native = [None] * len(answer.series) if answer.histograms is None else answer.histograms.tolist()
    cells = map(_cell, answer.values.tolist(), native)
    for i, (series, value) in enumerate(zip(answer.series, cells, strict=True)):
        if series not in case.rows:
            raise Mismatch(f"unexpected series {format_series(series) or '{}'} with {value}")
        wanted = case.rows[series][0]
        if not agree(value, wanted):
            raise Mismatch(f"expected {wanted} for {format_series(series) or '{}'}, got {value}")
        if case.expects("ordered") and expected[i] != series:
            raise Mismatch(f"{format_series(series)} is at position {i + 1}, expected {format_series(expected[i])}")
    _all_there(case, answer.series)


def _matrix(case: Eval, answer: RangeMatrix) -> None:
    start, _, step = case.raw or (case.start_ms, case.end_ms, case.step_ms)
    if list(answer.series) != sorted(answer.series):
        raise Mismatch("the series of a matrix must be sorted")
    times = answer.times.tolist()
    for i, series in enumerate(answer.series):
        name = format_series(series) or "{}"
        if series not in case.rows:
            raise Mismatch(f"unexpected series {name} with {answer.values[i].tolist()}")
        wanted = {start + k * step: value for k, value in enumerate(case.rows[series]) if value is not None}
        native = [None] * len(times) if answer.histograms is None else answer.histograms[i].tolist()
        cells = map(_cell, answer.values[i].tolist(), native)
        there = zip(times, cells, answer.present[i].tolist(), strict=True)
        got = {time: value for time, value, present in there if present}
        if set(wanted) != set(got) or not all(agree(got[time], wanted[time]) for time in wanted):
            raise Mismatch(f"expected {wanted} for {name}, got {got}")
    _all_there(case, answer.series)


def _all_there(case: Eval, found: Sequence[object]) -> None:
    for series in case.rows:
        if series not in found:
            raise Mismatch(f"expected series {format_series(series) or '{}'} is missing")
