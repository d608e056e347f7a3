"""One sample line of a page that is new or not plain ``key value``: read by the official client, checked in front.

``prometheus_client`` takes the line apart: name, labels, escapes, value, time stamp; its OpenMetrics parser reads the
exemplar. By its own words it is laxer than Prometheus, so a grammar stands in front and refuses what Prometheus's
lexers refuse (``model/textparse/promlex.l``, ``openmetricslex.l``) and the client lets pass: ``nan`` alone is a sample
``na NaN`` to it, ``m{a=}`` and ``m{,}`` have no labels, ``m{a:b="1"}`` has one, ``m 1 2 3`` has the value 1, and digits
may be Arabic. The other way round, Prometheus takes label names that begin with ``__`` and the client does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TextIO, cast

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_fd_to_metric_families
from prometheus_client.samples import Sample

#: A series with more labels than this is refused; Prometheus's own limit is off by default.
MAX_LABELS = 64
#: Longest label value in characters.
MAX_LABEL_VALUE = 4096
#: Label pairs remembered while a page is read.
MAX_PAIRS = 100_000
#: Longest number in characters; the longest float written out in full has 309 digits before the point.
MAX_NUMBER = 400

_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_PAIR = rf"[ \t]*+(?:[a-zA-Z_][a-zA-Z0-9_]*+|{_QUOTED})[ \t]*+=[ \t]*+{_QUOTED}[ \t]*+"
_TERM = re.compile(_PAIR)
_PAIRS = rf"(?:{_PAIR}(?:,{_PAIR})*,?)?[ \t]*+\}}"
#: A series and nothing behind it. A name that is no plain word stands quoted in the braces, as Prometheus 3 writes it.
_SERIES = re.compile(
    rf"[ \t]*+(?:[a-zA-Z_:][a-zA-Z0-9_:]*+(?:[ \t]*+\{{{_PAIRS}|(?=[ \t]))"
    rf"|\{{[ \t]*+{_QUOTED}[ \t]*+(?:,{_PAIRS}|\}}))"
)
#: How a line begins whose series is broken: what is wrong with it depends on whether there are braces.
_START = re.compile(r'[ \t]*+(?:[a-zA-Z_:][a-zA-Z0-9_:]*+[ \t]*+(\{)?|(\{)[ \t]*+"(?!.*"[ \t]*+=))')
_EXEMPLAR = re.compile(rf"\{{{_PAIRS} \S")
_VALUE = re.compile(rf"=[ \t]*{_QUOTED}")
#: Put before reserved label names on the way to the client and taken off again; names that begin so get it too.
_MARK = "wk_reserved_"
#: A quoted text, or the place before an unquoted label name that gets the mark.
_RESERVED = re.compile(rf'{_QUOTED}|(?<![\w:"])(?=__(?!name__\b)|{_MARK})')


class BrokenSeriesError(ValueError):
    """The start of the line is no series: where it begins and ends cannot be known."""


class BrokenValueError(ValueError):
    """The series is certain, what follows is not one value, at most one time stamp and a whole exemplar."""


class LimitError(ValueError):
    """The series is well formed and over a limit of labels."""


class LabelLimits(NamedTuple):
    """What a series may have at most, in labels and in characters of each name and value."""

    labels: int = MAX_LABELS
    name: int = MAX_LABEL_VALUE
    value: int = MAX_LABEL_VALUE


class Line(NamedTuple):
    """What one line says. ``key`` is the text of the series; ``stamp`` the text of its own time, empty without one;
    ``plain``: key, one space, value and nothing else."""

    key: str
    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    stamp: str
    plain: bool
    exemplar: bool


class LineParser:
    """Reads any number of lines with one running parser of the client: starting one for each line costs more.

    A page says ``method="GET"`` a thousand times: a pair that the client has read is not given to it again.
    """

    def __init__(self, limits: LabelLimits | None = None) -> None:
        self._limits = limits or LabelLimits()
        self._next = ""
        self._families: Iterator[Metric] | None = None
        self._pairs: dict[str, tuple[str, str]] = {}

    def parse(self, text: str) -> Line:
        """One line. Raises BrokenSeriesError, then LimitError, then BrokenValueError."""
        key = series_text(text)
        tail = text[len(key) :]
        try:
            value, stamp, exemplar = _check_tail(tail)
            broken = None
        except BrokenValueError as error:
            value, stamp, exemplar, broken = 0.0, "", False, error
        name, pairs = self._series(key, " 0" if broken else tail.partition(" # ")[0])
        _check_limits(pairs, self._limits)
        if broken:
            raise broken
        return Line(key, name, pairs, value, stamp, tail == " " + tail.split(None, 1)[0], exemplar)

    def forget(self) -> None:
        """The page is read: what it repeated need not be kept."""
        self._pairs = {}

    def __iter__(self) -> LineParser:
        return self

    def __next__(self) -> str:
        return self._next

    def _series(self, key: str, tail: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Name and labels as the client reads them. Raises BrokenSeriesError."""
        if "__" in key:
            return self._with_reserved(key, tail)
        start = key.find("{")
        if start <= 0:
            sample = self._sample(key + tail)
            return sample.name, tuple(sample.labels.items())
        if len(self._pairs) > MAX_PAIRS:
            self.forget()
        known, terms = self._pairs, _TERM.findall(key, start + 1)
        new = [term for term in terms if term not in known]
        sample = self._sample(f"{key[:start]}{{{','.join(new)}}}{tail}")
        known.update(zip(new, sample.labels.items(), strict=True))
        pairs = tuple([known[term] for term in terms])
        if len(dict(pairs)) != len(pairs):
            self._sample(key + tail)  # a label that is there twice: the client says so
        return sample.name, pairs

    def _with_reserved(self, key: str, tail: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Label names that begin with ``__`` go to the client behind a mark."""
        start = max(key.find("{"), 0)
        marked = _RESERVED.sub(lambda found: found.group() or _MARK, key[start:])
        sample = self._sample(key[:start] + marked + tail)
        return sample.name, tuple([(name.removeprefix(_MARK), value) for name, value in sample.labels.items()])

    def _sample(self, text: str) -> Sample:
        """One line as the client reads it. Raises BrokenSeriesError."""
        self._next = text
        if self._families is None:
            self._families = iter(text_fd_to_metric_families(cast(TextIO, self)))
        try:
            (sample,) = next(self._families).samples
        except ValueError as error:
            self._families = None  # a parser that raised has ended
            why = str(error.__context__ or error).partition(":")[0]  # the rest repeats the line
            raise BrokenSeriesError(why or "labels cannot be read") from None
        if not sample.name:
            raise BrokenSeriesError("no metric name")
        return sample


def series_text(text: str) -> str:
    """The start of the line up to the end of its series. Raises BrokenSeriesError."""
    found = _SERIES.match(text)
    if found is None:
        start = _START.match(text)
        if start is None:
            raise BrokenSeriesError("no metric name")
        raise BrokenSeriesError("labels are not closed or not well formed" if any(start.groups()) else "no value")
    if not text[found.end() :].strip():
        raise BrokenSeriesError("no value behind the series")
    return found.group()


def _check_limits(pairs: tuple[tuple[str, str], ...], limits: LabelLimits) -> None:
    if len(pairs) > limits.labels:
        raise LimitError(f"more than {limits.labels} labels")
    if any(len(name) > limits.name or len(value) > limits.value for name, value in pairs):
        raise LimitError(f"a label is longer than {limits.name} (name) or {limits.value} (value) characters")


def _check_tail(tail: str) -> tuple[float, str, bool]:
    """(value, text of the time stamp, whether with exemplar). Raises BrokenValueError."""
    head, mark, exemplar = tail.partition(" # ")
    parts = head.encode().split()
    if not 1 <= len(parts) <= 2:
        raise BrokenValueError("not one value and at most one time stamp")
    try:
        value = number(parts[0])
        if len(parts) == 2:
            number(parts[1])
    except ValueError as error:
        raise BrokenValueError(str(error)) from None
    if mark:
        check_exemplar(exemplar)
    return value, parts[1].decode() if len(parts) == 2 else "", bool(mark)


def check_exemplar(text: str) -> None:
    """What stands behind `` # `` is a whole exemplar. Raises BrokenValueError.

    The client's OpenMetrics parser reads it behind a counter of our own: on the line itself it would also judge the
    family by its type and suffix. Label values are shortened: the client takes an escaped quote for a closing one,
    and refuses more than 128 characters, where Prometheus drops the exemplar and keeps the sample.
    """
    if not _EXEMPLAR.match(text):
        raise BrokenValueError("no labels and value in the exemplar")
    text = _VALUE.sub('="v"', text.rstrip())
    try:
        list(openmetrics_families(f"# TYPE x counter\nx_total 1 # {text}\n# EOF\n"))  # type: ignore[no-untyped-call]  # theirs
    except ValueError as error:
        raise BrokenValueError(f"broken exemplar: {error}") from None


def milliseconds(text: str | bytes, *, openmetrics: bool) -> int:
    """A time stamp: whole milliseconds on a classic page, seconds in OpenMetrics. Raises ValueError."""
    seconds_or_ms = number(text)
    found = round(seconds_or_ms * 1000) if openmetrics else int(text)
    if not -(1 << 62) < found < 1 << 62:
        raise ValueError("the time stamp is out of range")
    return found


def number(text: str | bytes) -> float:
    """A float as Go's ParseFloat before 1.13 reads it: no digit separators, ASCII digits only."""
    raw = text.encode() if isinstance(text, str) else text
    if b"_" in raw or len(raw) > MAX_NUMBER:
        raise ValueError("digit separators are not allowed" if b"_" in raw else "the number is too long")
    return float(raw)
