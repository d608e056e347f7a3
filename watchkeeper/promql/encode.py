"""Answers as Prometheus's JSON, by column: Arrow writes the numbers and joins the text, not a loop over samples."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.model import Labels
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql.histograms.encode import encoded
from watchkeeper.promql.memo import Memo
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, StringValue, Vector, format_plain, format_value

#: Label pairs whose text is kept for the next answer.
KEPT_PAIRS = 1 << 16
#: Points of a matrix that are written at once: 40 MB of text in the making.
POINTS_AT_ONCE = 1 << 20
#: Between these Arrow writes a number as Prometheus does, and up to there whole numbers; others are written one by one.
SMALLEST, LARGEST, LARGEST_WHOLE = 1e-6, 1e10, 2.0**53


class Encoder:
    """Remembers the text of series it has written. Safe to share between threads."""

    def __init__(self) -> None:
        self._pairs, self._memo = _Pairs(), Memo()

    def __call__(self, result: Result) -> bytes:
        """Prometheus's HTTP API ``data``: ``resultType`` and ``result``; times in seconds, values as text. UTF-8."""
        kind = {Scalar: b"scalar", StringValue: b"string", Vector: b"vector", RangeMatrix: b"matrix"}[type(result)]
        return b'{"resultType":"%s","result":%s}' % (kind, b"".join(self._result(result)))

    def _result(self, result: Result) -> Iterator[bytes]:
        if isinstance(result, Scalar):
            yield f'[{format_time(result.time_ms)},"{format_plain(result.value)}"]'.encode()
        elif isinstance(result, StringValue):
            yield f"[{format_time(result.time_ms)},".encode() + _quoted(result.value) + b"]"
        elif result.histograms is not None:
            yield b"[" + encoded(result, result.histograms) + b"]"
        elif isinstance(result, Vector):
            head = b',"value":[%s,"' % format_time(result.time_ms).encode()
            parts = [b'{"metric":', self._series(result.series), head, _texts(result.values), b'"]}']
            yield b"[" + _joined(_glued(*parts)) + b"]"
        else:
            yield b"["
            rows = max(POINTS_AT_ONCE // max(len(result.times), 1), 1)
            for start in range(0, len(result.series), rows):
                yield b"," if start else b""
                yield self._matrix(result, slice(start, start + rows))
            yield b"]"

    def _matrix(self, result: RangeMatrix, rows: slice) -> bytes:
        present = result.present[rows]
        times = pa.array([f'[{format_time(at)},"'.encode() for at in result.times.tolist()], pa.binary())
        points = _glued(_times(times, present), _texts(result.values[rows][present]), b'"]')
        edges = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(present.sum(axis=1))])
        lists = pa.LargeListArray.from_arrays(pa.array(edges), points)
        series = self._series(result.series[rows])
        return _joined(_glued(b'{"metric":', series, b',"values":[', pc.binary_join(lists, b","), b"]}"))

    def _series(self, series: tuple[Labels, ...]) -> pa.Array:
        """One JSON object a series."""
        return self._memo.get("text", [series], lambda: pa.array(list(map(self._object, series)), pa.binary()))

    def _object(self, series: Labels) -> bytes:
        return b"{%s}" % b",".join(map(self._pairs.__getitem__, series))


def format_time(time_ms: int) -> str:
    """Seconds; with three decimals unless they are whole."""
    seconds, rest = divmod(abs(time_ms), 1000)
    sign = "-" if time_ms < 0 else ""
    return f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}"


def _times(times: pa.Array, present: BoolArray) -> pa.Array:
    """The time of each present point, row by row."""
    places: IntArray = np.nonzero(present)[1]
    return times.take(pa.array(places))


def _texts(values: FloatArray) -> pa.Array:
    """As ``format_value``, many at once; shape [values]."""
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    text = pc.cast(pa.array(numbers), pa.string()).cast(pa.binary())
    size = np.abs(numbers)
    odd = ~((size >= SMALLEST) & (size < LARGEST)) & (numbers != 0)
    with np.errstate(invalid="ignore"):  # staleness markers are signalling
        whole = odd & (size < LARGEST_WHOLE) & (numbers == np.rint(numbers))
    if whole.any():
        words = pc.cast(pa.array(numbers[whole].astype(np.int64)), pa.string()).cast(pa.binary())
        text, odd = pc.replace_with_mask(text, pa.array(whole), words), odd & ~whole
    if not odd.any():
        return text
    bits, place = np.unique(numbers[odd].view(np.uint64), return_inverse=True)
    words = pa.array([format_value(value).encode() for value in bits.view(np.float64).tolist()], pa.binary())
    return pc.replace_with_mask(text, pa.array(odd), words.take(pa.array(place)))


def _glued(*parts: pa.Array | bytes) -> pa.Array:
    """Row by row one text; a part in bytes is the same on every row."""
    return pc.binary_join_element_wise(*[pa.scalar(one) if isinstance(one, bytes) else one for one in parts], b"")


def _joined(rows: pa.Array) -> bytes:
    found: bytes = b",".join(rows.to_pylist())
    return found


class _Pairs(dict[tuple[str, str], bytes]):
    """The text of label pairs, made once each."""

    def __missing__(self, pair: tuple[str, str]) -> bytes:
        if len(self) >= KEPT_PAIRS:
            self.clear()
        text = self[pair] = _quoted(pair[0]) + b":" + _quoted(pair[1])
        return text


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
