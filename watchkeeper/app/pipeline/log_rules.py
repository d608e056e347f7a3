"""One rule that makes lines a metric: which lines, under which labels, with what value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.config.logs import LogMetric
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import SEVERITIES, SEVERITY_CODES, LogBatch
from watchkeeper.store.logs.match import field, matching
from watchkeeper.store.logs.piece import Piece, of_batches
from watchkeeper.store.logs.query import Term, parse

#: Labels of the source that every series keeps, so that it belongs to its service.
KEPT = ("service", "environment")
#: Characters of a label's value; the rest is cut.
LONGEST = 256
#: A line as the rule sees it: values of its labels, and its number (1 for a count).
Seen = tuple[tuple[tuple[str, str], ...], float]


@dataclass(frozen=True, slots=True)
class LogRule:
    """A checked rule. Without state: the same lines give the same answer."""

    options: LogMetric
    terms: Sequence[Term]
    severities: frozenset[int]

    @classmethod
    def of(cls, options: LogMetric) -> LogRule:
        """Raises ConfigError for a pattern or a question that is none."""
        for name, pattern in (("pattern", options.pattern), *((f"match.{key}", p) for key, p in options.match.items())):
            check_pattern(pattern, name, grouped=name == "pattern")
        try:
            terms = parse(options.where)
        except QueryError as error:
            raise ConfigError(str(error), key="metric.where") from None
        return cls(options, terms, frozenset(SEVERITY_CODES[word] for word in options.severities))

    def wants(self, labels: Mapping[str, str]) -> bool:
        """The source's labels fit; asked once for each set of them."""
        import pyarrow as pa  # RE2 is heavy, and only patterns need it
        import pyarrow.compute as pc

        return all(
            pc.match_substring_regex(pa.array([labels.get(name, "")], pa.string()), f"^(?:{pattern})$")[0].as_py()
            for name, pattern in self.options.match.items()
        )

    def read(self, batch: LogBatch) -> tuple[list[Seen], int]:
        """(lines that count, lines that would count but whose value is no number)."""
        own = dict(batch.labels)
        kept = tuple((name, own[name]) for name in KEPT if own.get(name))
        if not (self.options.pattern or self.options.value or self.options.labels):
            return [(kept, 1.0)] * len(self._rows(of_batches([batch], 0), batch)), 0
        found: list[Seen] = []
        wrong = 0
        for row, text, groups in self.lines(batch):
            known = {**own, "severity": SEVERITIES[int(batch.severity[row])] or "none", **groups}
            number = self._number(text, known)
            if number is None:
                wrong += 1
                continue
            found.append(((*kept, *self._labels(text, known)), number))
        return found, wrong

    def lines(self, batch: LogBatch) -> list[tuple[int, str, dict[str, str]]]:
        """(row, text, named groups) of the lines that the rule is about."""
        piece = of_batches([batch], 0)
        return self._grouped(piece, self._rows(piece, batch))

    def _rows(self, piece: Piece, batch: LogBatch) -> list[int]:
        left = np.ones(len(batch), bool)
        if self.severities:
            left = np.isin(batch.severity, list(self.severities))
        found: list[int] = np.flatnonzero(matching(piece, self.terms, left) if self.terms else left).tolist()
        return found

    def _grouped(self, piece: Piece, rows: Sequence[int]) -> list[tuple[int, str, dict[str, str]]]:
        """(row, text, named groups) of the lines that the pattern fits."""
        texts = [piece.text(row) for row in rows]
        if not self.options.pattern:
            return [(row, text, {}) for row, text in zip(rows, texts, strict=True)]
        import pyarrow as pa
        import pyarrow.compute as pc

        groups = pc.extract_regex(pa.array(texts, pa.string()), self.options.pattern).to_pylist()
        return [(row, text, one) for row, text, one in zip(rows, texts, groups, strict=True) if one is not None]

    def _labels(self, text: str, known: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple((label, _word(text, name, known)[:LONGEST]) for label, name in self.options.labels.items())

    def _number(self, text: str, known: Mapping[str, str]) -> float | None:
        if not self.options.value:
            return 1.0
        try:
            number = float(_word(text, self.options.value, known)) * self.options.scale
        except ValueError:
            return None
        return number if math.isfinite(number) and number >= 0 else None  # a sum that sinks is no counter


def _word(text: str, name: str, known: Mapping[str, str]) -> str:
    """A group, a label of the source, or a field of the line; empty where there is none."""
    found = known.get(name)
    return (field(text, name) or "") if found is None else found


def check_pattern(pattern: str, name: str, *, grouped: bool) -> None:
    """Raises ConfigError for what is no RE2 pattern."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pattern:
        return
    try:
        if grouped:
            pc.extract_regex(pa.array([""], pa.string()), pattern)
        else:
            pc.match_substring_regex(pa.array([""], pa.string()), pattern)
    except pa.ArrowInvalid as error:
        raise ConfigError(
            f"no RE2 pattern{' with named groups' if grouped else ''}: {error}", key=f"metric.{name}"
        ) from None
