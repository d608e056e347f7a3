"""What was asked for twice stays decoded, within its budget, and is never another answer than before."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.model.series import STALE_NAN, FloatArray, labels
from watchkeeper.store.samples.chunks import pack
from watchkeeper.store.samples.columns import Columns, Pick
from watchkeeper.store.samples.decoded import IDLE_SECONDS, Decoded
from watchkeeper.store.samples.pieces import Located, Sealed

ROWS = 40


class Counted(Sealed):
    """A packed piece that counts how often it is decoded."""

    __slots__ = ("reads",)

    def __init__(self, values: FloatArray) -> None:
        series = [labels("m", i=str(place)) for place in range(len(values))]
        columns = Columns(series, np.arange(len(values), dtype=np.int32))
        super().__init__(columns, np.arange(ROWS, dtype=np.int64) * 1000, pack(values))
        self.reads = 0

    def fill(self, out: FloatArray, pick: Pick, low: int) -> bool:
        self.reads += 1
        return super().fill(out, pick, low)


def values(rows: int = 5) -> FloatArray:
    return np.arange(rows * ROWS, dtype=np.float64).reshape(rows, ROWS)


def part(piece: Counted, low: int = 0, high: int = ROWS, pick: Pick = slice(0, 5)) -> Located:
    return Located(piece, piece.times[low:high], low, high, slice(0, 5), pick)


def test_the_second_question_decodes_and_the_third_does_not() -> None:
    piece, decoded = Counted(values()), Decoded()
    answers = [decoded.read(part(piece, low, 20))[0] for low in (3, 5, 7)]
    assert piece.reads == 2
    for low, answer in zip((3, 5, 7), answers, strict=True):
        np.testing.assert_array_equal(answer, values()[:, low:20])


def test_other_columns_are_another_question() -> None:
    piece, decoded = Counted(values()), Decoded()
    for _ in range(3):
        everything, _ = decoded.read(part(piece))
        some, _ = decoded.read(part(piece, pick=np.array([4, 1])))
    np.testing.assert_array_equal(everything, values())
    np.testing.assert_array_equal(some, values()[[4, 1]])


def test_what_is_kept_cannot_be_written_to() -> None:
    piece, decoded = Counted(values()), Decoded()
    decoded.read(part(piece))
    answer, _ = decoded.read(part(piece))
    with pytest.raises(ValueError, match="read-only"):
        answer[0, 0] = 1


def test_absent_samples_are_told_for_the_wanted_rows_only() -> None:
    gaps = values()
    gaps[2, 30] = STALE_NAN
    piece, decoded = Counted(gaps), Decoded()
    for _ in range(3):
        assert not decoded.read(part(piece))[1]
        assert decoded.read(part(piece, 0, 30))[1]


def test_the_budget_holds_and_the_oldest_goes_first() -> None:
    size = values().nbytes
    decoded = Decoded(budget=4 * size)
    pieces = [Counted(values()) for _ in range(6)]
    for piece in pieces:
        for _ in range(2):
            decoded.read(part(piece))
    assert decoded.nbytes == 4 * size
    for piece in pieces:
        decoded.read(part(piece))
    assert [piece.reads for piece in pieces] == [3, 3, 2, 2, 2, 2]


def test_what_nobody_asks_for_is_given_back() -> None:
    now = [0.0]
    decoded, old, new = Decoded(monotonic=lambda: now[0]), Counted(values()), Counted(values())
    for _ in range(2):
        decoded.read(part(old))
    now[0] += IDLE_SECONDS + 1
    for _ in range(2):
        decoded.read(part(new))
    assert decoded.nbytes == values().nbytes
