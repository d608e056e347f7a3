"""Applies the rules to batches of lines; lines stay lines, only what must go is replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from watchkeeper.errors import ConfigError
from watchkeeper.masking.shipped import OPTIONAL, RULES
from watchkeeper.model import LogBatch


class Masker:
    """What is taken away is replaced by ``[masked:<rule>]``, and counted under the rule's name."""

    def __init__(self, switches: Mapping[str, bool] | None = None, patterns: Mapping[str, str] | None = None) -> None:
        """``switches`` turns shipped rules on or off; ``patterns`` are own ones (RE2). Raises ConfigError."""
        switches = switches or {}
        if unknown := sorted(switches.keys() - RULES.keys()):
            raise ConfigError(f"there is no rule {unknown[0]!r}; the rules are {', '.join(RULES)}")
        self._rules = {name: rule for name, rule in RULES.items() if switches.get(name, name not in OPTIONAL)}
        self._patterns = dict(patterns or {})
        for name, pattern in self._patterns.items():
            _check(name, pattern)
        names = b"|".join(re.escape(name.encode()) for name in (*RULES, *self._patterns))
        self._mark = re.compile(rb"\[masked:(?:" + names + rb")\]?")
        self.masked: dict[str, int] = {}  #: rule -> places replaced

    def mask(self, batch: LogBatch) -> LogBatch:
        """The same lines without what must not be kept."""
        lower = batch.data.lower()
        spans = [
            (begin, end, name)
            for name, rule in self._rules.items()
            for begin, end in rule(batch.data, lower)
            if not self._mark.fullmatch(batch.data, begin, end)  # an agent has masked it before
        ]
        if spans:
            batch = self._replaced(batch, spans)
        return self._own(batch) if self._patterns else batch

    def _replaced(self, batch: LogBatch, spans: list[tuple[int, int, str]]) -> LogBatch:
        order = {name: place for place, name in enumerate(self._rules)}
        pieces, at, changes = [], 0, []
        for begin, end, name in _apart(sorted(spans, key=lambda span: (span[0], order[span[2]], -span[1]))):
            mark = b"[masked:" + name.encode() + b"]"
            pieces += [batch.data[at:begin], mark]
            changes.append((begin, len(mark) - (end - begin)))
            at = end
            self.masked[name] = self.masked.get(name, 0) + 1
        pieces.append(batch.data[at:])
        places, growth = np.array(changes, np.int64).reshape(-1, 2).T
        shift = np.concatenate([[0], np.cumsum(growth)])
        ends = batch.ends + shift[np.searchsorted(places, batch.ends)]
        return replace(batch, data=b"".join(pieces), ends=ends)

    def _own(self, batch: LogBatch) -> LogBatch:
        import pyarrow as pa  # RE2 is heavy, and only patterns need it
        import pyarrow.compute as pc

        texts = pa.array(batch.texts(), pa.string())
        for name, pattern in self._patterns.items():
            found = pc.sum(pc.count_substring_regex(texts, pattern)).as_py() or 0
            if found:
                self.masked[name] = self.masked.get(name, 0) + found
                texts = pc.replace_substring_regex(texts, pattern, f"[masked:{name}]")
        return LogBatch.of(batch.labels, texts.to_pylist(), batch.times, batch.severity)


def _apart(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Spans that overlap are made one, under the name of the first."""
    found: list[tuple[int, int, str]] = []
    for begin, end, name in spans:
        if found and begin < found[-1][1]:
            first, last, kept = found[-1]
            found[-1] = (first, max(last, end), kept)
        else:
            found.append((begin, end, name))
    return found


def _check(name: str, pattern: str) -> None:
    import pyarrow as pa  # RE2 is heavy, and only patterns need it
    import pyarrow.compute as pc

    try:
        empty = pc.match_substring_regex(pa.array([""], pa.string()), pattern)[0].as_py()
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{name}: no RE2 pattern: {error}") from None
    if empty:
        raise ConfigError(f"{name}: the pattern matches nothing at all too; make it match one character at least")
