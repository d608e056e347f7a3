"""What goes into a vector, a chunk or a time column comes out, bit for bit."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pcodec import standalone

from watchkeeper.errors import StoreError
from watchkeeper.model.series import STALE_BITS, FloatArray
from watchkeeper.store.samples.chunks import BATCH, EXPONENTS, Packed, pack, pack_times, pick_chunks, unpack_times
from watchkeeper.store.samples.unpacking import unpack
from watchkeeper.store.samples.vectors import RAW, SHUFFLED, decode_vector, encode_vector

any_bits = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([STALE_BITS, 0x7FF8000000000001, 0x8000000000000000, 0]),
    st.floats(allow_nan=False).map(lambda value: int(np.float64(value).view(np.uint64))),
    st.integers(-1000, 1000).map(lambda value: int(np.float64(value / 100).view(np.uint64))),
)
#: Rows of a kind, as real series are, and rows of anything.
tables = arrays(np.uint64, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=any_bits)


def through(values: FloatArray) -> FloatArray:
    packed = pack(values)
    chunks, bad = pick_chunks(packed, packed.offsets(), slice(0, len(values)))
    assert bad == []
    return unpack(chunks, values.shape[1])


def same_bits(one: FloatArray, other: FloatArray) -> bool:
    return np.array_equal(np.ascontiguousarray(one).view(np.uint64), np.ascontiguousarray(other).view(np.uint64))


@settings(max_examples=50, deadline=None)
@given(tables)
def test_any_bits_survive_packing(bits: np.ndarray) -> None:
    values = bits.view(np.float64)
    assert same_bits(through(values), values)


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint64, st.integers(0, 200), elements=any_bits))
def test_any_vector_survives_the_log(bits: np.ndarray) -> None:
    values = bits.view(np.float64)
    encoding, data = encode_vector(values)
    assert same_bits(decode_vector(encoding, data, len(values)), values)


@pytest.mark.parametrize("power", EXPONENTS)
def test_decimals_are_kept_as_integers(power: int) -> None:
    values = (np.arange(480.0) * 37 % 1009)[None, :] / 10.0**power
    assert same_bits(through(values), values)
    assert bytes(pack(values).payload)[0] == 1 | EXPONENTS.index(power) << 4
    assert len(pack(values).payload) < 480 * 2


@pytest.mark.parametrize("rows", [2, 63, 64, 256, 480])
@pytest.mark.parametrize("divisor", [1.0, 100.0, np.pi])
def test_neighbours_of_one_kind_are_decoded_by_one_call(
    rows: int, divisor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(rows).integers(0, 10_000, (BATCH, rows)) / divisor
    chunks, _ = pick_chunks(
        packed := pack(np.append(values, values[:, ::-1], axis=1)), packed.offsets(), slice(0, BATCH)
    )
    counted = Mock(wraps=standalone.simple_decompress_into)
    monkeypatch.setattr(standalone, "simple_decompress_into", counted)
    assert same_bits(unpack(chunks, 2 * rows, rows), values[:, ::-1])
    assert counted.call_count == 1


def test_a_broken_chunk_among_sound_ones_is_told() -> None:
    chunks, _ = pick_chunks(packed := pack(np.random.default_rng(1).random((3, 50))), packed.offsets(), slice(0, 3))
    assert chunks[1] is not None
    chunks[1] = chunks[1][:20] + b"\xff" * 40
    with pytest.raises(StoreError, match="chunk"):
        unpack(chunks, 50)


def test_a_constant_costs_nine_bytes_and_an_absent_series_one() -> None:
    stale = np.full(100, STALE_BITS, dtype=np.uint64).view(np.float64)
    packed = pack(np.stack([np.full(100, 2.5), stale]))
    assert packed.lengths.tolist() == [9, 1]


def test_negative_zero_is_not_zero() -> None:
    values = np.array([[0.0, -0.0, 1.0], [-0.0, -0.0, -0.0]])
    assert same_bits(through(values), values)


def test_times_survive() -> None:
    times = np.cumsum(np.arange(1, 500, dtype=np.int64) % 17 + 1) + 1_790_000_000_000
    assert np.array_equal(unpack_times(pack_times(times)), times)


def test_a_damaged_chunk_is_named_and_its_neighbours_are_kept() -> None:
    values = np.random.default_rng(1).random((3, 50))
    packed = pack(values)
    payload = bytearray(packed.payload)
    payload[int(packed.offsets()[1]) + 5] ^= 1
    chunks, bad = pick_chunks(Packed(packed.lengths, packed.crcs, bytes(payload)), packed.offsets(), slice(0, 3))
    out = unpack(chunks, 50)
    assert bad == [1]
    assert same_bits(out[[0, 2]], values[[0, 2]])
    assert (out[1].view(np.uint64) == STALE_BITS).all()


@pytest.mark.parametrize(("encoding", "data"), [(RAW, b"12345678"), (SHUFFLED, b"rubbish"), (9, b"1234567812345678")])
def test_a_vector_that_does_not_fit_is_refused(encoding: int, data: bytes) -> None:
    with pytest.raises(StoreError, match="a vector of the log"):
        decode_vector(encoding, data, 2)


def test_rubbish_is_no_time_column_and_no_chunk() -> None:
    with pytest.raises(StoreError, match="time column"):
        unpack_times(b"rubbish")
    with pytest.raises(StoreError, match="chunk"):
        unpack([b"\x02rubbish"], 4)


@pytest.mark.parametrize("chunk", [b"\x00123", bytes(pack(np.random.default_rng(1).random((1, 9))).payload)])
def test_a_chunk_of_another_length_is_refused(chunk: bytes) -> None:
    with pytest.raises(StoreError, match="another number of values"):
        unpack([chunk], 10)
