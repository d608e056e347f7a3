"""Answers as JSON: the text Prometheus writes, number by number."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model import STALE_NAN, Labels, labels
from watchkeeper.promql import RangeMatrix, Scalar, StringValue, Vector, format_value
from watchkeeper.promql.encode import Encoder, format_time


def vector(values: list[float], series: tuple[Labels, ...] | None = None, time_ms: int = 0) -> Vector:
    names = series or tuple(labels("m", i=str(i)) for i in range(len(values)))
    return Vector(series=names, values=np.array(values, dtype=np.float64), time_ms=time_ms)


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "0"),
        (1_700_000_000_000, "1700000000"),
        (1_700_000_000_120, "1700000000.120"),
        (7, "0.007"),
        (-1500, "-1.500"),
    ],
)
def test_a_time_has_three_decimals_or_none(time_ms: int, text: str) -> None:
    assert format_time(time_ms) == text
    assert Encoder()(Scalar(value=1.0, time_ms=time_ms)) == b'{"resultType":"scalar","result":[%s,"1"]}' % text.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (-2.5, "-2.5"), (1e15, "1000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"), (1e10, "10000000000"),
        (12345678901.5, "12345678901.5"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (1e-6, "0.000001"), (1e-7, "1e-07"),
        (5e-324, "5e-324"), (math.nan, "NaN"), (STALE_NAN, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"),
        (0.1 + 0.2, "0.30000000000000004"),
        (9007199254740993.0, "9007199254740992"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_go_writes_it(value: float, text: str) -> None:
    assert json.loads(Encoder()(vector([value])))["result"][0]["value"] == [0, text]


@given(st.lists(st.floats(), min_size=1, max_size=50))
def test_many_numbers_at_once_are_written_as_each_alone(values: list[float]) -> None:
    rows = json.loads(Encoder()(vector(values)))["result"]
    assert [row["value"][1] for row in rows] == [format_value(value) for value in values]
    assert all(
        np.array_equal(float(row["value"][1]), value, equal_nan=True) for row, value in zip(rows, values, strict=True)
    )


def test_a_scalar_is_written_without_an_exponent() -> None:
    assert Encoder()(Scalar(value=-5e-10, time_ms=0)) == b'{"resultType":"scalar","result":[0,"-0.0000000005"]}'


def test_series_keep_their_labels_whatever_is_in_them() -> None:
    series = (labels("m", a='"quoted"\\', b="中文\n\t\x01", c="</script>"), (), labels(None, x="1"))
    answer = Encoder()(vector([1, 2, 3], series))
    assert [row["metric"] for row in json.loads(answer)["result"]] == [dict(one) for one in series]
    assert "中文" in answer.decode()


def test_half_a_character_does_not_break_the_answer() -> None:
    answer = json.loads(Encoder()(vector([1.0], (labels("m", a="\ud800"),))))
    assert answer["result"][0]["metric"]["a"] == "?"


def test_only_points_that_are_there_are_written() -> None:
    values = np.array([[1.0, 2.0, 3.0], [4.0, math.nan, 6.0]])
    present = np.array([[True, False, True], [False, True, False]])
    times = np.array([0, 500, 60_000])
    matrix = RangeMatrix(series=(labels("a"), labels("b")), times=times, values=values, present=present)
    assert Encoder()(matrix) == (
        b'{"resultType":"matrix","result":[{"metric":{"__name__":"a"},"values":[[0,"1"],[60,"3"]]},'
        b'{"metric":{"__name__":"b"},"values":[[0.500,"NaN"]]}]}'
    )


def test_a_long_answer_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchkeeper.promql.encode.POINTS_AT_ONCE", 7)
    values = np.arange(40.0).reshape(10, 4)
    series = tuple(labels("m", i=str(i)) for i in range(10))
    times = np.arange(4) * 1000
    matrix = RangeMatrix(series=series, times=times, values=values, present=np.ones((10, 4), bool))
    rows = json.loads(Encoder()(matrix))["result"]
    assert [row["metric"]["i"] for row in rows] == [str(i) for i in range(10)]
    assert [[int(text) for _, text in row["values"]] for row in rows] == values.astype(int).tolist()


def test_empty_answers_and_texts_keep_their_shape() -> None:
    assert Encoder()(vector([])) == b'{"resultType":"vector","result":[]}'
    nothing = RangeMatrix(series=(), times=np.arange(3), values=np.empty((0, 3)), present=np.empty((0, 3), bool))
    assert Encoder()(nothing) == b'{"resultType":"matrix","result":[]}'
    assert Encoder()(StringValue(value='a"b', time_ms=1000)) == b'{"resultType":"string","result":[1,"a\\"b"]}'


def test_what_was_remembered_of_series_is_not_told_of_others() -> None:
    encode = Encoder()
    for job in "abc":
        series = tuple(labels("m", job=job, i=str(i)) for i in range(200))
        for _ in range(2):
            rows = json.loads(encode(vector([1.0] * 200, series)))["result"]
            assert [row["metric"] for row in rows] == [dict(one) for one in series]
