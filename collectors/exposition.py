"""Text exposition to dense vectors, fast while the page keeps its shape.

The last page is kept as a template: its lines without the values. While the next page has the same lines, one pass
strips each known key and converts what is left; the pass proves itself, because any line that did not start with its
key would leave too many bytes over. Otherwise every line is looked up in a dictionary, only unknown keys are parsed,
by the official client, and the template is learnt anew (PERFORMANCE, section 1: 5 to 6 times less CPU than Prometheus).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import compress, islice

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import CollectError
from watchkeeper.model import STALE_NAN, Labels, Layout
from watchkeeper.model.series import FloatArray

from .base import merge_labels
from .exposition_line import (
    BrokenSeriesError,
    BrokenValueError,
    LimitError,
    LineParser,
    check_exemplar,
    number,
)

#: Lines taken apart at a time: their memory is used again for the next ones and stays in the processor's cache.
BLOCK = 1024
#: Ways of writing one series (label order, spaces) that are remembered, on average.
MAX_FORMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the page says of one metric family."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page read: ``received`` sample lines = ``received - sum(rejected)`` samples + rejected."""

    layout: Layout
    values: FloatArray  #: STALE_NAN for series that were on the last page and are not on this one
    received: int
    rejected: Mapping[str, int]
    timestamps: int = 0  #: samples whose own time stamp was read over


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A run of lines of a page, without their values."""

    lines: int
    is_sample: list[bool]
    is_other: list[bool]
    others: list[bytes]  #: comments and empty lines with their line ends, which must come again exactly
    keys: list[bytes]  #: what stands before each value, with the space


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    """A page without its values."""

    blocks: list[_Block]
    samples: int
    fixed_bytes: int  #: length of the page without its values and their line ends
    columns: npt.NDArray[np.intp] | None  #: which of the values are kept, None when all are, in order
    rejected: Mapping[str, int]

    def values(self, body: bytes) -> FloatArray | None:
        """The values of a page of exactly this shape, None when it has another one."""
        values = np.empty(self.samples, np.float64)
        page, done, size = BytesIO(body), 0, self.fixed_bytes
        for block in self.blocks:
            lines = list(islice(page, block.lines))
            if len(lines) != block.lines:
                return None
            if block.others:
                if list(compress(lines, block.is_other)) != block.others:
                    return None
                lines = list(compress(lines, block.is_sample))
            rests = list(map(bytes.removeprefix, lines, block.keys))
            joined = b"".join(rests)
            size += len(joined)
            if b"_" in joined:
                return None
            try:
                values[done : done + len(rests)] = np.fromiter(map(float, rests), np.float64, len(rests))
            except ValueError:
                return None
            done += len(rests)
        return values if size == len(body) and done == self.samples else None


@dataclass(slots=True)
class _Reading:
    """One page while it is read line by line."""

    values: list[float | None]
    keys: list[bytes] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)  #: column of each sample line, -1 when it was refused
    rejected: dict[str, int] = field(default_factory=dict)
    regular: bool = True  #: every sample line was key, space, value: a template can be learnt
    timestamps: int = 0

    def refuse(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        self.kept.append(-1)


class Exposition:
    """Reads the pages of one target. ``sample_limit``: known series stay, new ones beyond it are refused."""

    def __init__(self, target: Mapping[str, str], *, sample_limit: int, honor_labels: bool = False) -> None:
        self._target, self._limit, self._honor = dict(target), sample_limit, honor_labels
        self._columns: dict[bytes, int] = {}
        self._by_labels: dict[Labels, int] = {}
        self._series: list[Labels] = []
        self._layout = Layout(())
        self._template: _Template | None = None
        self._parser = LineParser()
        self.metadata: dict[str, Metadata] = {}

    @property
    def layout(self) -> Layout:
        """The series of the last page."""
        return self._layout

    def read(self, body: bytes, *, openmetrics: bool = False) -> Page:
        """One page. Raises CollectError(reason="parse") when it cannot be told which lines are samples."""
        template = self._template
        values = template.values(body) if template is not None else None
        if template is None or values is None:
            return self._slow(body, openmetrics=openmetrics)
        received = len(values)
        if template.columns is not None:
            values = values[template.columns]
        return Page(layout=self._layout, values=values, received=received, rejected=template.rejected)

    def _slow(self, body: bytes, *, openmetrics: bool) -> Page:
        lines = body.removesuffix(b"\n").split(b"\n")
        if openmetrics:
            _check_end(lines)
        known = len(self._series)
        reading = _Reading(values=[None] * known)
        samples = [bool(line.strip()) and not line.lstrip(b" \t").startswith(b"#") for line in lines]
        others = [line for line, sample in zip(lines, samples, strict=True) if not sample]
        try:
            for at, line in enumerate(lines):
                if samples[at]:
                    self._line(line, at, reading)
        except CollectError:
            self._undo(known)
            raise
        finally:
            self._parser.forget()
        if reading.rejected.get("parse") and all(column is None for column in reading.values):
            self._undo(known)
            raise CollectError("no line of the page is a sample", reason="parse")
        self.metadata = read_metadata(others)
        page = self._finish(reading)
        self._template = None
        if len(self._columns) > MAX_FORMS * len(self._series):
            self._columns = {}  # a source that writes its series in ever new ways must not fill the memory
        if reading.regular:
            self._learn(body, samples, reading)
        return page

    def _line(self, line: bytes, at: int, reading: _Reading) -> None:
        key, _, text = line.rpartition(b" ")
        column = self._columns.get(key)
        if column is None:
            return self._stamped_line(line, at, reading)
        try:
            value = number(text)
        except ValueError:
            return self._odd_line(line, at, reading)
        reading.keys.append(key + b" ")
        return _keep(reading, column, value)

    def _stamped_line(self, line: bytes, at: int, reading: _Reading) -> None:
        """``key value timestamp`` of a known series: the common form of cAdvisor's pages."""
        head = line.rsplit(b" ", 2)
        column = self._columns.get(head[0]) if len(head) == 3 else None
        if column is None:
            return self._exemplar_line(line, at, reading)
        try:
            value, _ = number(head[1]), number(head[2])
        except ValueError:
            return self._odd_line(line, at, reading)
        reading.regular = False
        reading.timestamps += 1
        return _keep(reading, column, value)

    def _exemplar_line(self, line: bytes, at: int, reading: _Reading) -> None:
        """``key value # exemplar`` of a known series: only the exemplar is new."""
        head, mark, exemplar = line.partition(b" # ")
        key, _, text = head.rpartition(b" ")
        column = self._columns.get(key) if mark else None
        if column is None:
            return self._odd_line(line, at, reading)
        try:
            value = number(text)
            check_exemplar(exemplar.decode())
        except ValueError:
            return self._odd_line(line, at, reading)
        reading.regular = False
        return _keep(reading, column, value)

    def _odd_line(self, line: bytes, at: int, reading: _Reading) -> None:
        """A new series, or a line that is not plain ``key value``."""
        try:
            said = self._parser.parse(line.decode())
        except LimitError:
            reading.regular = False
            return reading.refuse("label_limit")
        except BrokenValueError:
            reading.regular = False  # the series is certain, the value is not: this line alone is lost
            return reading.refuse("parse")
        except (BrokenSeriesError, UnicodeDecodeError) as error:
            start = line[:60].decode(errors="replace")
            raise CollectError(f"line {at + 1} is no sample ({error}): {start!r}", reason="parse") from None
        reading.timestamps += said.stamped
        column = self._column(merge_labels(said.name, said.labels, self._target, honor=self._honor), reading)
        key = said.key.encode()
        if column >= 0 and line[len(key) :].startswith(b" "):
            self._columns[key] = column
        if said.plain:
            reading.keys.append(key + b" ")
        else:
            reading.regular = False
        if column < 0:
            return reading.refuse("sample_limit")
        return _keep(reading, column, said.value)

    def _column(self, series: Labels, reading: _Reading) -> int:
        found = self._by_labels.get(series)
        if found is not None:
            return found
        if len(self._series) >= self._limit:
            return -1
        self._by_labels[series] = len(self._series)
        self._series.append(series)
        reading.values.append(None)
        return len(self._series) - 1

    def _undo(self, known: int) -> None:
        """Take back the series that a page brought which turned out broken."""
        for series in self._series[known:]:
            del self._by_labels[series]
        del self._series[known:]
        self._columns = {key: column for key, column in self._columns.items() if column < known}
        self._template = None

    def _finish(self, reading: _Reading) -> Page:
        gone = [at for at, value in enumerate(reading.values) if value is None]
        if gone or len(self._series) != len(self._layout):
            self._layout = Layout(tuple(self._series))
        whole = self._layout
        values = np.array([STALE_NAN if value is None else value for value in reading.values], dtype=np.float64)
        if gone:
            self._prune(set(gone), reading)
        return Page(
            layout=whole,
            values=values,
            received=len(reading.kept),
            rejected=reading.rejected,
            timestamps=reading.timestamps,
        )

    def _prune(self, gone: set[int], reading: _Reading) -> None:
        """Drop series that are no longer on the page and close the gaps they leave."""
        stay = [at for at in range(len(self._series)) if at not in gone]
        moved = {old: new for new, old in enumerate(stay)}
        self._series = [self._series[at] for at in stay]
        self._by_labels = {series: at for at, series in enumerate(self._series)}
        self._columns = {key: moved[column] for key, column in self._columns.items() if column in moved}
        self._layout = Layout(tuple(self._series))
        reading.kept = [moved[column] if column >= 0 else -1 for column in reading.kept]

    def _learn(self, body: bytes, samples: list[bool], reading: _Reading) -> None:
        order = {column: at for at, column in enumerate(reading.kept) if column >= 0}
        rows = [order[column] for column in range(len(self._series))]
        raw, keys, blocks = BytesIO(body), iter(reading.keys), list[_Block]()
        while lines := list(islice(raw, BLOCK)):
            at = len(blocks) * BLOCK
            is_sample = samples[at : at + len(lines)]
            is_other = [not sample for sample in is_sample]
            blocks.append(
                _Block(
                    lines=len(lines),
                    is_sample=is_sample,
                    is_other=is_other,
                    others=list(compress(lines, is_other)),
                    keys=list(islice(keys, sum(is_sample))),
                )
            )
        comments = sum(len(line) for block in blocks for line in block.others)
        self._template = _Template(
            blocks=blocks,
            samples=len(reading.keys),
            fixed_bytes=comments + sum(map(len, reading.keys)),
            columns=None if rows == list(range(len(reading.kept))) else np.array(rows, dtype=np.intp),
            rejected=reading.rejected,
        )


def _keep(reading: _Reading, column: int, value: float) -> None:
    if reading.values[column] is not None:
        return reading.refuse("duplicate")
    reading.values[column] = value
    reading.kept.append(column)
    return None


def _check_end(lines: list[bytes]) -> None:
    filled = [line for line in lines[-2:] if line]
    if not filled or filled[-1].strip() != b"# EOF":
        raise CollectError("the page does not end with # EOF, so it is not whole", reason="parse")


def read_metadata(comments: list[bytes]) -> dict[str, Metadata]:
    """Type, help and unit by metric family from the comment lines; the first word on each wins."""
    found: dict[str, dict[str, str]] = {}
    for comment in comments:
        parts = comment.decode(errors="replace").split(None, 3)
        if len(parts) < 3 or parts[0] != "#" or parts[1] not in ("HELP", "TYPE", "UNIT"):
            continue
        text = parts[3].strip() if len(parts) == 4 else ""
        found.setdefault(parts[2], {}).setdefault(parts[1].lower(), text.replace("\\n", "\n").replace("\\\\", "\\"))
    return {name: Metadata(**said) for name, said in found.items()}
