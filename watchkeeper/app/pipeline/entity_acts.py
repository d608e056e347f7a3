"""From lines to acts: who, from where, on what, and whether it was refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from detectors.entities import Act, Place
from watchkeeper.app.pipeline.entity_packs import PACKS
from watchkeeper.app.pipeline.entity_places import Places, place_of
from watchkeeper.app.pipeline.entity_times import stated, time_of
from watchkeeper.app.pipeline.log_rules import LogRule
from watchkeeper.config import Loaded
from watchkeeper.config.logs import LogMetric
from watchkeeper.config.security import ActRule
from watchkeeper.model import Labels, LogBatch
from watchkeeper.store.logs.match import dig, field

if TYPE_CHECKING:
    from watchkeeper.config.security import Said

#: Characters of a name; the rest is cut.
LONGEST = 120
#: Words that stand where nobody is named, and what masking leaves.
NOBODY = frozenset({"", "-", "null", "none", "unknown", "anonymous"})
MASKED = "[masked:"
#: Seconds within which acts that are alike in all else become one.
TOGETHER = 10.0
_HOST = re.compile(r"^[A-Za-z0-9_.-]+$")
_VERSION = re.compile(r"[/ ]v?\d[\w.]*|\(.*?\)|\d+")


@dataclass(frozen=True, slots=True)
class Acts:
    """One checked rule."""

    options: ActRule
    lines: LogRule
    refused: Any
    signed_in: Any

    @classmethod
    def of(cls, options: ActRule) -> Acts:
        """Raises ConfigError for a pattern or a question that is none."""
        rule = LogMetric(name=options.name, match=options.match, where=options.where, pattern=options.pattern)
        return cls(options, LogRule.of(rule), _pattern(options.refused), _pattern(options.signed_in))

    def read(self, batch: LogBatch, zone: tzinfo | None, places: Places) -> Iterator[tuple[int, Act]]:
        """(row, act) of each line that tells of one."""
        own = dict(batch.labels)
        for row, text, groups in self.lines.lines(batch):
            said = Words(text, {**own, **groups}, self.options.fields)
            act = self._act(said, own, int(batch.times[row]) / 1000.0, zone, places)
            if act is not None:
                yield row, act

    def _act(self, said: Words, own: Mapping[str, str], read: float, zone: tzinfo | None, places: Places) -> Act | None:
        user, source = said.name("user"), said.source()
        if not user and not source:
            return None
        when, outcome, event = said.word("time"), said.word("outcome"), said.word("event")
        refused = said.word("status") in self.options.refused_status or bool(outcome and self.refused(outcome))
        return Act(
            at=stated(when, read, zone) if when else time_of(said.text, read, zone),
            user=user,
            source=source,
            host=said.name("host"),
            service=own.get("service", "") or said.name("service"),
            device=device(said.word("device")),
            refused=refused,
            signed_in=bool(not refused and event and self.signed_in(event)),
            count=max(said.number("times"), 1.0),
            size=said.number("bytes"),
            place=_place(said) or places.of(source),
        )


class Words:
    """What one line says: groups and labels first, then its fields; a JSON line is read once."""

    def __init__(self, text: str, known: Mapping[str, str], fields: Mapping[Said, Sequence[str]]) -> None:
        self.text, self._known, self._fields = text, known, fields
        self._object: Any = None
        if text.lstrip()[:1] == "{":
            try:
                self._object = json.loads(text)
            except (ValueError, RecursionError):
                self._object = None

    def word(self, what: Said) -> str:
        """The first of its names that says something; empty where none does."""
        for name in self._fields.get(what, ()):
            found = self._known.get(name) or self._read(name)
            if found:
                return found
        return ""

    def name(self, what: Said) -> str:
        """The same as the name of an entity."""
        found = self.word(what).strip()[:LONGEST]
        return "" if found.lower() in NOBODY or MASKED in found or found[:1] in "{[" else found

    def source(self) -> str:
        """The address it came from. Another word counts only where one name alone was given for it."""
        names = self._fields.get("source", ())
        for name in names:
            word = self._known.get(name) or self._read(name) or ""
            if found := address(word) or (word if len(names) == 1 and _HOST.match(word) else ""):
                return "" if found.lower() in NOBODY else found[:LONGEST]
        return ""

    def number(self, what: Said) -> float:
        """0 where it is none."""
        try:
            found = float(self.word(what) or 0)
        except ValueError:
            return 0.0
        return found if 0.0 <= found < 1e18 else 0.0

    def _read(self, name: str) -> str | None:
        return dig(self._object, name) if self._object is not None else field(self.text, name)


def address(word: str) -> str:
    """An address, also the first of several, with a port or in brackets; empty where there is none."""
    first = word.partition(",")[0].strip()
    for found in (first, first.rpartition(":")[0].strip("[]") if ":" in first else ""):
        try:
            return str(ip_address(found.partition("%")[0]))
        except ValueError:
            continue
    return ""


def device(agent: str) -> str:
    """A program without its versions, so that an update is no new device."""
    return " ".join(_VERSION.sub(" ", agent).replace(";", " ").split())[:LONGEST]


def _place(said: Words) -> Place | None:
    if not said.word("latitude") or not said.word("longitude"):
        return None
    try:
        return place_of(said.word("place"), float(said.word("latitude")), float(said.word("longitude")))
    except ValueError:
        return None


def _pattern(pattern: str) -> Any:
    import pyarrow as pa  # RE2 is heavy, and only patterns need it
    import pyarrow.compute as pc

    from watchkeeper.app.pipeline.log_rules import check_pattern

    check_pattern(pattern, "refused", grouped=False)
    known: dict[str, bool] = {}

    def fits(word: str) -> bool:
        if word not in known:
            if len(known) > 1000:
                known.clear()
            known[word] = bool(pattern) and bool(
                pc.match_substring_regex(pa.array([word], pa.string()), f"^(?:{pattern})$")[0].as_py()
            )
        return known[word]

    return fits


class Reading:
    """All rules: a line tells of one act at most, by the first rule that reads it."""

    def __init__(self, rules: Sequence[Acts], places: Places, zone: tzinfo | None = None) -> None:
        self._rules, self._zone, self._places = rules, zone, places
        self._wanted: dict[Labels, list[Acts]] = {}

    def acts(self, batch: LogBatch) -> list[Act]:
        """In the order of their times, those alike within ten seconds as one."""
        wanted = self._wanted.get(batch.labels)
        if wanted is None:
            if len(self._wanted) >= 10_000:
                self._wanted.clear()
            labels = dict(batch.labels)
            wanted = self._wanted[batch.labels] = [one for one in self._rules if one.lines.wants(labels)]
        told = dict[int, Act]()
        for rule in wanted:
            for row, act in rule.read(batch, self._zone, self._places):
                told.setdefault(row, act)
        return together(told.values())


def together(acts: Any) -> list[Act]:
    found: dict[tuple[Any, ...], Act] = {}
    for act in acts:
        key = (act.at // TOGETHER, act.user, act.source, act.host, act.service, act.device, act.refused, act.signed_in)
        known = found.get(key)
        found[key] = act if known is None else replace(known, count=known.count + act.count, size=known.size + act.size)
    return sorted(found.values(), key=lambda act: act.at)


def acts_of(loaded: Loaded) -> list[Acts]:
    """Raises ConfigError with the place of a pattern that is none."""
    section = loaded.config.security.entities
    own = [
        loaded.part(("security", "entities", "acts", place), lambda row=row: Acts.of(row))
        for place, row in enumerate(section.acts)
    ]
    return own + [Acts.of(row) for pack in section.packs for row in PACKS[pack]]
