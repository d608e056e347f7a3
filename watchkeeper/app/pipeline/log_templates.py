"""Kinds of lines: learned from the masked lines of every source, counted as series, kept over restarts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collectors.base import Reading
from detectors.templates import TemplateMiner
from watchkeeper.app.paths import write_private
from watchkeeper.app.pipeline.log_rules import KEPT
from watchkeeper.app.pipeline.log_unusual import Unusual, UnusualLines
from watchkeeper.clock import from_ms
from watchkeeper.config.logs import Templates
from watchkeeper.model import SEVERITIES, LogBatch
from watchkeeper.store.logs.match import field
from watchkeeper.telemetry import logger

log = logger(__name__)

LINES = "log_template_lines_total"
FIRST_SEEN = "log_templates_first_seen_total"
REFUSED = "watchkeeper_log_template_refused_total"
#: Label of lines whose kind is not learned any more.
OTHER = "other"
#: Forms that an engine learns: to look at all of them together takes it seconds.
MOST_FORMS = 5_000
#: How often what was learned is written down.
SAVED_EVERY = timedelta(minutes=5)
Own = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class KindOfLine:
    """One template, as shown."""

    id: str
    text: str
    count: int
    first_seen: datetime
    last_seen: datetime | None  #: None: not since the start


class LineTemplates:
    """What ``LogMetrics`` asks of a rule, for all kinds of lines at once. One thread at a time."""

    def __init__(self, file: Path, options: Templates, now: datetime) -> None:
        self._file, self.options, self._saved = file, options, now
        self.miner, self._first = TemplateMiner(most_forms=MOST_FORMS), dict[str, datetime]()
        self._last: dict[str, datetime] = {}
        self.unusual, self._settled = UnusualLines(), 0
        self._lines: Counter[Own] = Counter()
        self._touched: dict[Own, datetime] = {}
        self._new: Counter[Own] = Counter()
        self._refused = 0
        if options.enabled:
            self._restore()

    @property
    def enabled(self) -> bool:
        return self.options.enabled

    def use(self, options: Templates) -> None:
        """Options of a new configuration."""
        if self.enabled and not options.enabled:
            self.save()
        elif options.enabled and not self.enabled:
            self._restore()
        self.options = options

    def know(self, batch: LogBatch) -> None:
        """Learn of lines that happened long ago: their kinds are not new, and nothing is counted."""
        for name, at in zip(self._learn(batch), batch.times.tolist(), strict=True):
            self._first.setdefault(name, from_ms(at))

    def _learn(self, batch: LogBatch) -> list[str]:
        """The kinds of lines that were learned with them."""
        texts = [_message(text) for text in batch.texts()]
        self.miner.learn(texts)
        names = [name or OTHER for name, _ in self.miner.label(texts)]
        self._rename()
        return names

    def take(self, batch: LogBatch, now: datetime) -> None:
        """Learn and count the lines of one source."""
        names = self._learn(batch)
        own = dict(batch.labels)
        kept = tuple((name, own[name]) for name in KEPT if own.get(name))
        for (name, code), count in Counter(zip(names, batch.severity.tolist(), strict=True)).items():
            self._add((*kept, ("severity", SEVERITIES[code] or "none"), ("template", name)), count, now)
        new = frozenset(name for name in names if name not in self._first)
        self.unusual.take(kept, batch.labels, names, new, now)
        for name in dict.fromkeys(names):
            self._new[kept] += name not in self._first
            self._first.setdefault(name, now)
            self._last[name] = now

    def forget(self, now: datetime) -> None:
        """Drop series of which no line has come for long; write down what was learned, now and then."""
        for own, touched in list(self._touched.items()):
            if now - touched >= self.options.forget_after:
                del self._touched[own], self._lines[own]
        if now - self._saved >= SAVED_EVERY:
            self._saved = now
            self.save()

    def readings(self) -> Iterator[Reading]:
        """Counters since the start."""
        for own, count in self._lines.items():
            yield LINES, own, float(count)
        for own, count in self._new.items():
            yield FIRST_SEEN, own, float(count)
        yield from self.unusual.readings()
        yield REFUSED, (), float(self._refused)

    def kinds(self, limit: int) -> list[KindOfLine]:
        """The most frequent first."""
        found = self.miner.templates()[:limit]
        never = datetime.min.replace(tzinfo=UTC)
        return [
            KindOfLine(one.id, one.text, one.count, self._first.get(one.id, never), self._last.get(one.id))
            for one in found
        ]

    def fits(self, name: str, texts: Sequence[str]) -> list[bool]:
        """Which lines are of that kind."""
        return [(found or OTHER) == name for found, _ in self.miner.label([_message(text) for text in texts])]

    def found(self) -> list[tuple[Unusual, dict[str, str]]]:
        """What was unusual lately, newest first, each with the texts of the templates it names."""
        texts = {one.id: one.text for one in self.miner.templates()} if self.unusual.found else {}
        return [
            (one, {name: texts.get(name, "") for name in (one.template, one.before, *one.usual) if name})
            for one in reversed(self.unusual.found)
        ]

    def save(self) -> None:
        """Write down what was learned, where it is on."""
        if not self.enabled:
            return
        first = {name: at.isoformat() for name, at in self._first.items()}
        try:
            kept = {"first_seen": first, "miner": self.miner.state(), "unusual": self.unusual.state()}
            write_private(self._file, json.dumps(kept))
        except OSError as error:
            log.error("kinds of log lines not written", file=str(self._file), error=str(error))

    def _rename(self) -> None:
        """What was learned of kinds that are one now belongs to that one."""
        if self._settled != self.miner.settled:
            self._settled = self.miner.settled
            self.unusual.rename(self.miner.merged())

    def _add(self, own: Own, count: int, now: datetime) -> None:
        if own not in self._touched and len(self._touched) >= self.options.series_limit:
            self._refused += count
            return
        self._lines[own] += count
        self._touched[own] = now

    def _restore(self) -> None:
        """Go on with what was learned; a file that cannot be read is told and learned anew."""
        try:
            kept: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            first = {name: datetime.fromisoformat(at) for name, at in kept["first_seen"].items()}
            miner = TemplateMiner.restored(kept["miner"], most_forms=MOST_FORMS)
            self.unusual.restore(kept.get("unusual", {"shares": [], "steps": []}))  # files of before know none
            self.miner, self._first = miner, first
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("kinds of log lines are learned anew", file=str(self._file), error=repr(error))


def _message(text: str) -> str:
    """What a line says: of a JSON line its message."""
    if not text.startswith("{"):
        return text
    return field(text, "message") or field(text, "msg") or text
