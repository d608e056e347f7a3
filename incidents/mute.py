"""Why an alert is not told: silenced by a person, or inhibited by a worse one. Evaluation is never touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT
from watchkeeper.model import Alert
from watchkeeper.store.state.repositories.incidents import Silence

from .match import Matchers, fitting, read_matchers


@dataclass(frozen=True, kw_only=True, config=STRICT)
class InhibitRule:
    """While an alert fits ``source``, those that fit ``target`` with the same ``equal`` labels are not told."""

    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()


def silenced(alerts: Sequence[Alert], silences: Iterable[Silence], now: datetime) -> dict[str, str]:
    """Alert id -> id of the silence that mutes it."""
    labels = [alert.labels for alert in alerts]
    found: dict[str, str] = {}
    for silence in silences:
        if not silence.matchers or not silence.starts_at <= now < silence.ends_at:
            continue  # a silence without matchers mutes nothing, never everything
        fits = fitting(read_matchers(silence.matchers), labels)
        found.update({alert.id: silence.id for alert, fit in zip(alerts, fits, strict=True) if fit})
    return found


def inhibited(alerts: Sequence[Alert], rules: Iterable[InhibitRule]) -> dict[str, str]:
    """Alert id -> id of the alert that makes it needless to tell."""
    labels = [alert.labels for alert in alerts]
    found: dict[str, str] = {}
    for rule in rules:
        sources, targets = fitting(rule.source, labels), fitting(rule.target, labels)
        causes: dict[tuple[str, ...], str] = {}
        for alert, is_source, is_target in zip(alerts, sources, targets, strict=True):
            if is_source and not is_target:  # one that fits both would mute itself
                causes.setdefault(_equal(alert.labels, rule.equal), alert.id)
        for alert, is_target in zip(alerts, targets, strict=True):
            cause = causes.get(_equal(alert.labels, rule.equal)) if is_target else None
            if cause is not None and cause != alert.id:
                found.setdefault(alert.id, cause)
    return found


def _equal(labels: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in names)
