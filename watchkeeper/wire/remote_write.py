"""Remote write 1.0: requests as arrays, and arrays as requests.

Nearly every series of a real request is a block of labels seen before and one sample of fixed length behind it. Those
are told apart by array arithmetic; a block is taken for labels only if it was read as labels once, so nothing that
looks like a sample inside a label's value can mislead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import FloatArray, IntArray, Labels
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.messages import build, parse

#: The Content-Type of version 1.0; its protobuf message is the default where none is named.
CONTENT_TYPE = "application/x-protobuf"
VERSION = "0.1.0"

#: One sample as every sender writes it: value and a time of 6 bytes, until the year 2109. A value of 0 is left out.
_HEAD = np.frombuffer(b"\x12\x10\x09", np.uint8)
_ZERO = np.frombuffer(b"\x12\x07\x10", np.uint8)
FULL, EMPTY = 18, 9
#: Names of the metric types, by number in the message.
TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class About:
    """What a sender says about a metric."""

    family: str
    type: str
    help: str
    unit: str


@dataclass(slots=True)
class Written:
    """One request. ``codes[i]`` names the series of sample i: a known code, or ``-1 - k`` for ``fresh[k]``."""

    codes: IntArray
    times: IntArray  #: milliseconds since the epoch
    values: FloatArray  #: staleness markers bit for bit
    fresh: Sequence[bytes] = ()  #: blocks of labels that were not known
    histograms: int = 0
    exemplars: int = 0
    about: Sequence[About] = field(default_factory=list)


def decode(body: bytes, known: Mapping[bytes, int]) -> Written:
    """A request of version 1.0, unpacked; ``known`` are the codes of blocks read before. Raises WireError."""
    message = parse("Write", body)
    rows = list(message.timeseries)
    gathered = Gathered(known)
    rest = _single(rows, FULL, gathered)
    rest = _single(rest, EMPTY, gathered)
    for row in rest:
        series = parse("Series", row)
        block = b"".join(_field(0x0A, label) for label in series.labels)
        gathered.add(block, series)
    written = gathered.written()
    written.about = [_about(raw) for raw in message.metadata]
    return written


class Gathered:
    """Samples of one request as they are found."""

    def __init__(self, known: Mapping[bytes, int]) -> None:
        self.known, self.fresh = known, dict[bytes, int]()
        self.parts: list[tuple[IntArray, IntArray, FloatArray]] = []
        self.histograms = self.exemplars = 0

    def add(self, block: bytes, series: Any) -> None:
        """A series read field by field; of either version."""
        times, values = read_samples(series.samples)
        code = self.known.get(block)
        if code is None:
            code = -1 - self.fresh.setdefault(block, len(self.fresh))
        self.histograms += len(series.histograms)
        self.exemplars += len(series.exemplars)
        self.parts.append((np.full(len(times), code, dtype=np.int64), times, values))

    def written(self) -> Written:
        empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        codes, times, values = (np.concatenate(arrays) for arrays in zip(*(self.parts or [empty]), strict=True))
        return Written(codes, times, values, list(self.fresh), self.histograms, self.exemplars)


def _single(rows: Sequence[bytes], width: int, into: Gathered) -> list[bytes]:
    """Take the rows that are a known block and one sample of this width; returns the others."""
    if not rows:
        return []
    tails = b"".join([row[-width:] for row in rows])
    if len(tails) != width * len(rows):  # some are shorter than a sample
        long = [row for row in rows if len(row) >= width]
        return [row for row in rows if len(row) < width] + _single(long, width, into)
    found = list(map(into.known.get, [row[:-width] for row in rows]))
    grid = np.frombuffer(tails, np.uint8).reshape(-1, width)
    fits = (grid[:, :3] == (_HEAD if width == FULL else _ZERO)).all(axis=1) & _six_bytes(grid)
    if width == FULL:
        fits &= grid[:, 11] == 0x10
    if None in found:
        fits &= np.array([code is not None for code in found])
    if not fits.all():
        kept = np.flatnonzero(fits)
        found, grid = [found[place] for place in kept.tolist()], grid[kept]
    if found:
        values = grid[:, 3:11].copy().view("<f8")[:, 0] if width == FULL else np.zeros(len(grid))
        into.parts.append((np.array(found, dtype=np.int64), _times(grid), values))
    return [] if len(found) == len(rows) else [rows[place] for place in np.flatnonzero(~fits).tolist()]


def _six_bytes(grid: Bytes) -> npt.NDArray[np.bool_]:
    """The row ends with a varint of exactly 6 bytes."""
    fits: npt.NDArray[np.bool_] = (grid[:, -6:-1] >= 0x80).all(axis=1) & (grid[:, -1] < 0x80)
    return fits


def _times(grid: Bytes) -> IntArray:
    """The number in the last 6 bytes of every row."""
    times = np.zeros(len(grid), dtype=np.int64)
    for place in range(6):
        times |= (grid[:, place - 6] & 0x7F).astype(np.int64) << 7 * place
    return times


def read_samples(samples: Sequence[bytes]) -> tuple[IntArray, FloatArray]:
    """(times, values) of sample messages of one series."""
    raw = b"".join(samples)
    if len(raw) == 16 * len(samples) and all(len(one) == 16 for one in samples):
        grid = np.frombuffer(raw, np.uint8).reshape(-1, 16)
        if (grid[:, 0] == 0x09).all() and (grid[:, 9] == 0x10).all() and _six_bytes(grid).all():
            return _times(grid), grid[:, 1:9].copy().view("<f8").reshape(-1)
    read = [parse("Sample", one) for one in samples]
    values = np.array([one.value for one in read], dtype=np.uint64).view(np.float64)
    return np.array([one.timestamp for one in read], dtype=np.int64), values


def _about(raw: bytes) -> About:
    told = parse("About", raw)
    words = (word.decode("utf-8", "replace") for word in (told.family, told.help, told.unit))
    family, text, unit = words
    return About(family, metric_type(told.type), text, unit)


def metric_type(number: int) -> str:
    return TYPES[number] if 0 <= number < len(TYPES) else TYPES[0]


# --- labels ----------------------------------------------------------------------------------------------------------


def labels_of(block: bytes) -> Labels:
    """The labels of a block, sorted. Raises WireError where they are no labels or say one name twice."""
    pairs = []
    for raw in parse("Series", block).labels:
        label = parse("Label", raw)
        try:
            pairs.append((label.name.decode(), label.value.decode()))
        except UnicodeDecodeError:
            raise WireError("a label is not UTF-8", reason="label_invalid") from None
    found = tuple(sorted(pair for pair in pairs if pair[1] != ""))
    names = {name for name, _ in pairs}
    if len(names) < len(pairs) or "" in names:
        raise WireError("a label's name is empty or there twice", reason="label_invalid")
    return found


def label_block(labels: Labels) -> bytes:
    """Labels as they stand in front of a series' samples."""
    return b"".join(_field(0x0A, build("Label", name=name.encode(), value=value.encode())) for name, value in labels)


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """A number, at least 0, in groups of 7 bits."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# --- writing ---------------------------------------------------------------------------------------------------------

#: Times whose varint has 6 bytes: 2005 to 2109.
_SIX = range(1 << 35, 1 << 42)


def encode(blocks: Sequence[bytes], times: IntArray, values: FloatArray) -> bytes:
    """A request of version 1.0, not yet packed: sample i belongs to the series of ``blocks[i]``.

    One series may come several times; its samples then stand in the order given.
    """
    tails = _tails(times, values)
    return b"".join(
        [b"\x0a" + varint(len(block) + len(tail)) + block + tail for block, tail in zip(blocks, tails, strict=True)]
    )


def _tails(times: IntArray, values: FloatArray) -> list[bytes]:
    if len(times) and not (int(times.min()) in _SIX and int(times.max()) in _SIX):
        bits = values.view(np.uint64).tolist()
        return [
            _field(0x12, build("Sample", value=value, timestamp=at))
            for at, value in zip(times.tolist(), bits, strict=True)
        ]
    grid = np.empty((len(times), FULL), dtype=np.uint8)
    grid[:, :3] = _HEAD
    grid[:, 3:11] = np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(-1, 8)
    grid[:, 11] = 0x10
    for place in range(6):
        grid[:, 12 + place] = times >> 7 * place & 0x7F | (0x80 if place < 5 else 0)
    raw = grid.tobytes()
    return [raw[start : start + FULL] for start in range(0, len(raw), FULL)]
