"""Remote write 2.0: the same samples, their labels as references to a table of symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.wire.errors import WireError
from watchkeeper.wire.messages import parse
from watchkeeper.wire.remote_write import About, Gathered, Written, metric_type, varint

CONTENT_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
VERSION = "2.0.0"
NAME = b"__name__"


def decode(body: bytes, known: Mapping[bytes, int]) -> Written:
    """A request of version 2.0, unpacked; blocks of labels are those of version 1.0. Raises WireError."""
    message = parse("Write2", body)
    symbols: list[bytes] = list(message.symbols)
    if symbols and symbols[0] != b"":
        raise WireError("the first symbol is not empty")
    names, values = ([bytes([tag]) + varint(len(one)) + one for one in symbols] for tag in (0x0A, 0x12))
    gathered, about = Gathered(known), dict[bytes, About]()
    for raw in message.timeseries:
        series = parse("Series2", raw)
        refs: list[int] = list(series.refs)
        if len(refs) % 2 or (refs and max(refs) >= len(symbols)):
            raise WireError("a label refers to a symbol that is not there")
        gathered.add(_block(refs, names, values), series)
        if series.about:
            _tell(series, refs, symbols, about)
    written = gathered.written()
    written.about = list(about.values())
    return written


def _block(refs: Sequence[int], names: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    parts = []
    for place in range(0, len(refs), 2):
        name, value = names[refs[place]], values[refs[place + 1]]
        parts.append(b"\x0a" + varint(len(name) + len(value)) + name + value)
    return b"".join(parts)


def _tell(series: Any, refs: Sequence[int], symbols: Sequence[bytes], into: dict[bytes, About]) -> None:
    """What the series says about its metric."""
    family = next((symbols[refs[at + 1]] for at in range(0, len(refs), 2) if symbols[refs[at]] == NAME), b"")
    told = parse("About2", series.about)
    if max(told.help, told.unit) >= len(symbols):
        raise WireError("metadata refer to a symbol that is not there")
    text, unit, name = (one.decode("utf-8", "replace") for one in (symbols[told.help], symbols[told.unit], family))
    if text or unit or told.type:
        into.setdefault(family, About(name, metric_type(told.type), text, unit))
