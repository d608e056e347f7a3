"""Remote write as bytes: what real senders write is read back bit for bit, and nothing else passes for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model import STALE_NAN, Labels, labels
from watchkeeper.wire import remote_write, remote_write_v2, snappy
from watchkeeper.wire.errors import TooLargeError, WireError
from watchkeeper.wire.messages import build

AT = 1_764_400_000_123
UP = labels("up", job="node", instance="a:9100")
CPU = labels("cpu_seconds_total", job="node", instance="a:9100", mode="空闲")


def request(*series: tuple[Labels, list[tuple[int, float]]], **more: list[bytes]) -> bytes:
    """A request as the specification describes it, built by the protobuf runtime."""
    rows = [
        remote_write.label_block(one)
        + b"".join(
            b"\x12" + remote_write.varint(len(sample)) + sample
            for sample in (
                build("Sample", timestamp=at, value=int(np.float64(value).view(np.uint64))) for at, value in samples
            )
        )
        for one, samples in series
    ]
    return build("Write", timeseries=rows, **more)


def read(body: bytes, known: dict[bytes, int] | None = None) -> dict[Labels, list[tuple[int, int]]]:
    """Samples by series, values as bits."""
    known = known or {}
    written = remote_write.decode(body, known)
    blocks = {code: block for block, code in known.items()}
    blocks |= {-1 - place: block for place, block in enumerate(written.fresh)}
    found: dict[Labels, list[tuple[int, int]]] = {}
    for code, at, bits in zip(
        written.codes.tolist(), written.times.tolist(), written.values.view(np.uint64).tolist(), strict=True
    ):
        found.setdefault(remote_write.labels_of(blocks[code]), []).append((at, bits))
    return found


def bits(value: float) -> int:
    return int(np.float64(value).view(np.uint64))


TIMES = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(AT - 10**9, AT + 10**9)


@given(st.lists(st.lists(st.tuples(TIMES, st.floats(width=64)), max_size=4), max_size=5), st.booleans())
def test_every_request_reads_back_whether_its_series_are_known_or_not(
    samples: list[list[tuple[int, float]]], known: bool
) -> None:
    series = [labels("m", row=str(row)) for row in range(len(samples))]
    seen = {remote_write.label_block(one): 7 + row for row, one in enumerate(series)} if known else {}
    expected = {
        one: [(at, bits(value)) for at, value in found] for one, found in zip(series, samples, strict=True) if found
    }
    assert read(request(*zip(series, samples, strict=True)), seen) == expected


def test_what_is_encoded_here_is_what_is_decoded_here_staleness_included() -> None:
    blocks = [remote_write.label_block(one) for one in (UP, CPU, UP)]
    values = np.array([STALE_NAN, 0.0, -0.0])
    body = remote_write.encode(blocks, np.array([AT, AT, AT + 15_000]), values)
    assert read(body) == {UP: [(AT, bits(STALE_NAN)), (AT + 15_000, bits(-0.0))], CPU: [(AT, bits(0.0))]}
    early = remote_write.encode(blocks[:1], np.array([-5]), np.array([1.5]))
    assert read(early) == {UP: [(-5, bits(1.5))]}


def test_a_label_that_looks_like_a_sample_stays_a_label() -> None:
    trap = "x" + bytes(b"\x12\x10\x09" + b"A" * 8 + b"\x10").decode() + "AAAAAA"
    series = labels("m", z=trap)
    known = {remote_write.label_block(UP): 0}
    assert read(request((series, [(AT, 2.0)]), (UP, [(AT, 1.0)])), known) == {
        series: [(AT, bits(2.0))],
        UP: [(AT, bits(1.0))],
    }


def test_exemplars_histograms_and_metadata_are_told() -> None:
    row = remote_write.label_block(UP) + b"\x1a\x02\x08\x01" + b"\x22\x02\x08\x01"
    about = build("About", type=1, family=b"up", help="läuft".encode(), unit=b"s")
    written = remote_write.decode(build("Write", timeseries=[row], metadata=[about]), {})
    assert (written.exemplars, written.histograms, len(written.codes)) == (1, 1, 0)
    assert written.about == [remote_write.About("up", "counter", "läuft", "s")]


@pytest.mark.parametrize(
    "pairs", [[(b"", b"x")], [(b"a", b"1"), (b"a", b"2")], [(b"a", b"\xff")], [(b"\xff", b"a")]], ids=repr
)
def test_labels_that_cannot_be_are_refused(pairs: list[tuple[bytes, bytes]]) -> None:
    block = build("Series", labels=[build("Label", name=name, value=value) for name, value in pairs])
    with pytest.raises(WireError) as raised:
        remote_write.labels_of(block)
    assert raised.value.reason == "label_invalid"


def second(symbols: list[bytes], *series: bytes) -> bytes:
    return build("Write2", symbols=symbols, timeseries=list(series))


SYMBOLS = [b"", b"__name__", b"up", b"job", b"node", b"is it up", b"seconds"]


def test_version_two_tells_the_same_series_as_version_one() -> None:
    sample = build("Sample", timestamp=AT, value=bits(STALE_NAN))
    about = build("About2", type=2, help=5, unit=6)
    body = second(SYMBOLS, build("Series2", refs=[1, 2, 3, 4], samples=[sample], about=about, histograms=[b"\x08\x01"]))
    written = remote_write_v2.decode(body, {})
    assert written.fresh == [remote_write.label_block(labels("up", job="node"))]
    assert (written.codes.tolist(), written.times.tolist(), written.histograms) == ([-1], [AT], 1)
    assert bits(written.values[0]) == bits(STALE_NAN)
    assert written.about == [remote_write.About("up", "gauge", "is it up", "seconds")]
    assert remote_write_v2.decode(body, {written.fresh[0]: 5}).codes.tolist() == [5]


@pytest.mark.parametrize(
    "body",
    [
        second([b"up"], build("Series2", refs=[0, 0])),
        second(SYMBOLS, build("Series2", refs=[1, 2, 3])),
        second(SYMBOLS, build("Series2", refs=[1, 99])),
        second(SYMBOLS, build("Series2", refs=[1, 2], about=build("About2", help=99))),
        second(SYMBOLS, b"\x0a\xff"),
        b"\x2a\xff",
    ],
)
def test_version_two_refuses_what_refers_to_nothing(body: bytes) -> None:
    with pytest.raises(WireError):
        remote_write_v2.decode(body, {})


def test_a_declared_length_is_believed_only_as_far_as_it_can_be_true() -> None:
    with pytest.raises(TooLargeError):
        snappy.unpack(b"\xff\xff\xff\xff\x0f", 1 << 20)
    with pytest.raises(WireError, match="more than its bytes can hold"):
        snappy.unpack(b"\x80\x80\x40", 1 << 20)
    for broken in (b"", b"\xff\xff\xff\xff\xff\xff", b"\x05ab", snappy.compress(b"x" * 100)[:-1]):
        with pytest.raises(WireError):
            snappy.unpack(broken, 1 << 20)
    assert snappy.unpack(snappy.compress(b"a" * 100_000), 100_000) == b"a" * 100_000
