"""Text exposition to dense vectors, fast while the page keeps its shape.

The last page is kept as a template: its lines without the values. While the next page has the same lines, they are
compared whole with the template's and what is left is converted. Otherwise every line is looked up by its key, only
unknown keys are parsed, by the official client, and once the new order has come twice it is the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import CollectError
from watchkeeper.model import STALE_NAN, Labels, Layout
from watchkeeper.model.series import BoolArray, FloatArray

from .base import merge_labels
from .exposition_index import KeyIndex
from .exposition_line import (
    BrokenSeriesError,
    BrokenValueError,
    LabelLimits,
    LimitError,
    LineParser,
    check_exemplar,
    milliseconds,
    number,
)
from .exposition_lines import PARTS, Lines, cut, find_lines, floats, take
from .exposition_template import Template, first_of_each, learn

#: Ways of writing one series (label order, spaces) that are remembered, on average.
MAX_FORMS = 4
#: In place of a column: the line is no sample, is not kept, or its series is not wanted by ``relabel``.
UNKNOWN, COMMENT, REFUSED, DROPPED = -4, -3, -2, -1
#: The composite value of a native histogram, as OpenMetrics 2 writes it.
_NATIVE = re.compile(rb"[ \t]\{(?:count|sum|schema):")


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
    stamps: Mapping[int, int] = field(default_factory=dict)  #: column -> the sample's own time in ms
    exemplars: int = 0  #: read over
    added: int = 0  #: series that were not on the last page


class _Reading:
    """One page while it is read: a column and a value for each line, in order."""

    def __init__(self, lines: Lines, columns: npt.NDArray[np.intp]) -> None:
        self.lines, self.columns = lines, columns
        self.values = np.zeros(len(lines), np.float64)
        self.rejected: dict[str, int] = {}
        self.others: list[bytes] = []  #: comments and empty lines
        self.stamps: dict[int, int] = {}  #: line -> its own time in ms
        self.exemplars = 0
        self.regular = True  #: every sample line was key, space, value: a template can be learnt

    def refuse(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


class Exposition:
    """Reads the pages of one target. ``sample_limit``: known series stay, new ones beyond it are refused.

    ``relabel`` has the last word on each new series: other labels, or None when it is not wanted.
    """

    def __init__(
        self,
        target: Mapping[str, str],
        *,
        sample_limit: int,
        honor_labels: bool = False,
        relabel: Callable[[Labels], Labels | None] | None = None,
        limits: LabelLimits | None = None,
    ) -> None:
        self._target, self._limit, self._honor, self._relabel = dict(target), sample_limit, honor_labels, relabel
        self._columns: dict[bytes, int] = {}
        self._index: KeyIndex | None = None  #: of the columns, or most of them
        self._by_labels: dict[Labels, int] = {}
        self._series: list[Labels] = []
        self._layout = Layout(())
        self._template: Template | None = None
        self._order: npt.NDArray[np.intp] | None = None  #: of the last page that no template read
        self._parser = LineParser(limits or LabelLimits())
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
            return self._any_order(body, openmetrics=openmetrics)
        received = len(values)
        if template.columns is not None:
            values = values[template.columns]
        return Page(layout=self._layout, values=values, received=received, rejected=template.rejected)

    # --- any order ---

    def _any_order(self, body: bytes, *, openmetrics: bool) -> Page:
        """Every line by its key; only unknown keys are parsed."""
        if openmetrics:
            _check_end(body)
        known = len(self._series)
        try:
            reading = self._lines(body, openmetrics=openmetrics)
        except CollectError:
            self._undo(known)
            raise
        finally:
            self._parser.forget()
        if reading.rejected.get("parse") and not (reading.columns >= DROPPED).any():
            self._undo(known)
            raise CollectError("no line of the page is a sample", reason="parse")
        self.metadata = read_metadata(reading.others)
        page = self._finish(reading, known)
        if len(self._columns) > MAX_FORMS * max(len(self._series), len(reading.lines)):
            self._columns = {}  # a source that writes its series in ever new ways must not fill the memory
            self._index = None
        self._learn_when_steady(reading, page)
        return page

    def _lines(self, body: bytes, *, openmetrics: bool) -> _Reading:
        """Lines of known keys with one number behind them all at once, then the others."""
        lines = find_lines(body)
        parts = cut(body, lines.ends, lines.last_word)
        if self._index is None or self._index.worn(len(self._columns)):
            self._index = KeyIndex(self._columns, unknown=UNKNOWN)
        reading = _Reading(lines, self._index.find(body, lines.starts, lines.last_word))
        known = np.flatnonzero(reading.columns != UNKNOWN)
        reading.values[known], wrong = floats(take(parts, PARTS * known + 1))
        reading.columns[known[wrong]] = UNKNOWN
        left = np.flatnonzero(reading.columns == UNKNOWN)
        reading.columns[left] = COMMENT
        for at in left.tolist():
            self._line(lines.text(at), at, reading, openmetrics=openmetrics)
        return reading

    def _line(self, line: bytes, at: int, reading: _Reading, *, openmetrics: bool) -> None:
        """One line that is a comment, new, or more than key and value."""
        if not line.strip() or line.lstrip(b" \t").startswith(b"#"):
            return reading.others.append(line)
        line = line.removesuffix(b"\n")
        try:
            known = self._known(line, openmetrics=openmetrics)
        except ValueError:
            known = None
        if known is None:
            return self._new_line(line, at, reading, openmetrics=openmetrics)
        column, value, stamp, exemplar = known
        reading.columns[at], reading.values[at] = column, value
        if stamp is not None:
            reading.stamps[at] = stamp
        reading.exemplars += exemplar
        reading.regular = reading.regular and stamp is None and not exemplar
        return None

    def _known(self, line: bytes, *, openmetrics: bool) -> tuple[int, float, int | None, bool] | None:
        """(column, value, own time, whether with exemplar) of a series that is known. Raises ValueError."""
        key, _, text = line.rpartition(b" ")
        column = self._columns.get(key)
        if column is not None:
            return column, number(text), None, False
        head, mark, exemplar = line.partition(b" # ")
        if mark:
            check_exemplar(exemplar.decode())
            key, _, text = head.rpartition(b" ")
            column = self._columns.get(key)
            if column is not None:
                return column, number(text), None, True
        pieces = head.rsplit(b" ", 2)
        column = self._columns.get(pieces[0]) if len(pieces) == 3 else None
        if column is None:
            return None
        return column, number(pieces[1]), milliseconds(pieces[2], openmetrics=openmetrics), bool(mark)

    def _new_line(self, line: bytes, at: int, reading: _Reading, *, openmetrics: bool) -> None:
        reading.columns[at] = REFUSED
        try:
            said = self._parser.parse(line.decode())
        except LimitError:
            reading.regular = False
            return reading.refuse("label_limit")
        except BrokenValueError:
            reading.regular = False  # the series is certain, the value is not: this line alone is lost
            return reading.refuse("native_histogram" if _NATIVE.search(line) else "parse")
        except (BrokenSeriesError, UnicodeDecodeError) as error:
            start = line[:60].decode(errors="replace")
            raise CollectError(f"line {at + 1} is no sample ({error}): {start!r}", reason="parse") from None
        reading.regular = reading.regular and said.plain
        reading.exemplars += said.exemplar
        if said.stamp:
            try:
                reading.stamps[at] = milliseconds(said.stamp, openmetrics=openmetrics)
            except ValueError:
                return reading.refuse("parse")
        column = self._column(merge_labels(said.name, said.labels, self._target, honor=self._honor))
        key = said.key.encode()
        if column != REFUSED and line[len(key) :].startswith(b" "):
            self._columns[key] = column
        if column == REFUSED:
            return reading.refuse("sample_limit")
        reading.columns[at], reading.values[at] = column, said.value
        return None

    def _column(self, said: Labels) -> int:
        series = said if self._relabel is None else self._relabel(said)
        if series is None:
            return DROPPED
        found = self._by_labels.get(series)
        if found is not None:
            return found
        if len(self._series) >= self._limit:
            return REFUSED
        self._by_labels[series] = len(self._series)
        self._series.append(series)
        return len(self._series) - 1

    def _undo(self, known: int) -> None:
        """Take back the series that a page brought which turned out broken."""
        for series in self._series[known:]:
            del self._by_labels[series]
        del self._series[known:]
        self._columns = {key: column for key, column in self._columns.items() if column < known}
        self._template = self._index = None

    def _finish(self, reading: _Reading, known: int) -> Page:
        columns = reading.columns
        dropped = int(np.count_nonzero(columns == DROPPED))
        if dropped:
            reading.rejected["metric_relabel"] = dropped
        lines = first_of_each(columns)
        twice = int(np.count_nonzero(columns >= 0)) - len(lines)
        if twice:
            reading.rejected["duplicate"] = twice
        values = np.full(len(self._series), STALE_NAN)
        values[columns[lines]] = reading.values[lines]
        here = np.zeros(len(values), np.bool_)
        here[columns[lines]] = True
        if len(self._series) != len(self._layout):
            self._layout, self._template = Layout(tuple(self._series)), None
        whole = self._layout
        first = set(lines.tolist()) if reading.stamps else set()
        stamps = {int(columns[at]): time for at, time in reading.stamps.items() if at in first}
        if not here.all():
            self._prune(here, reading)
        return Page(
            layout=whole,
            values=values,
            received=int(np.count_nonzero(columns != COMMENT)),
            rejected=reading.rejected,
            stamps=stamps,
            exemplars=reading.exemplars,
            added=len(whole) - known,
        )

    def _prune(self, here: BoolArray, reading: _Reading) -> None:
        """Drop series that are no longer on the page and close the gaps they leave."""
        moved = np.where(here, np.cumsum(here) - 1, REFUSED)
        self._series = [series for series, stays in zip(self._series, here.tolist(), strict=True) if stays]
        self._by_labels = {series: at for at, series in enumerate(self._series)}
        self._columns = {
            key: column if column < 0 else int(moved[column])
            for key, column in self._columns.items()
            if column < 0 or here[column]
        }
        self._layout, self._template, self._index = Layout(tuple(self._series)), None, None
        kept = reading.columns >= 0
        reading.columns[kept] = moved[reading.columns[kept]]

    # --- the template ---

    def _learn_when_steady(self, reading: _Reading, page: Page) -> None:
        """Learning costs more than reading: a page that is in a new order each time is never learnt."""
        steady = self._order is None or np.array_equal(self._order, reading.columns)
        self._order = reading.columns
        self._template = None
        if reading.regular and (steady or page.added == len(page.layout)):
            self._template = learn(reading.lines, reading.columns, reading.columns != COMMENT, reading.rejected)


def _check_end(body: bytes) -> None:
    if body[-200:].rstrip(b"\n").rpartition(b"\n")[2].strip() != b"# EOF":
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
