"""Rules as read: groups of alerting and recording rules, and remediation rules, from one or more files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from watchkeeper.model import Ladder, RemedyRule

DEFAULT_INTERVAL = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """Fires for every series ``expr`` returns, once it has been there for ``hold``."""

    name: str
    expr: str
    hold: timedelta = timedelta(0)  #: Prometheus's ``for``
    keep_firing_for: timedelta = timedelta(0)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    key: str = ""  #: ``group/name``, with ``#2`` for the second of that name: stable across restarts
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRule:
    """Writes what ``expr`` returns as series named ``name``."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    line: int = 0


Rule = AlertRule | RecordRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules evaluated together, in order, at one interval."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval: timedelta = DEFAULT_INTERVAL
    limit: int = 0  #: alerts or series one rule may make; 0 is no limit
    query_offset: timedelta = timedelta(0)  #: how far in the past the rules look
    labels: Mapping[str, str] = field(default_factory=dict)  #: added to every rule that has no such label
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """Everything read from a set of files, or nothing: a mistake in one file leaves the old book in force."""

    groups: tuple[Group, ...] = ()
    remedies: tuple[RemedyRule, ...] = ()
    ladders: tuple[Ladder, ...] = ()  #: their steps are among ``remedies``
    files: tuple[str, ...] = ()

    def alert_rules(self) -> Iterator[tuple[Group, AlertRule]]:
        for group in self.groups:
            for rule in group.rules:
                if isinstance(rule, AlertRule):
                    yield group, rule

    def rules(self) -> Iterator[tuple[Group, Rule]]:
        for group in self.groups:
            for rule in group.rules:
                yield group, rule
