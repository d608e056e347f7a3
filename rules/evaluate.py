"""Alerting and recording rules over one moment: what is there now, what changed, what to write."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Alert, AlertState, Labels, fingerprint, labels
from watchkeeper.ports import Query

from .alerts import Active, AlertChange, GroupResult, Health, RuleHealth, severity_of
from .book import AlertRule, Group, RuleBook
from .persist import Saved
from .series import Memory, Sample, TooManyError, alert_series, histograms, recording, tick, with_ends
from .template import Context, TemplateError, render

#: A row of a steady alert is written anew this often, so that a restart knows how long we were away.
REFRESH = timedelta(minutes=1)
#: After a longer outage nobody can say that a pending condition lasted: its ``for`` starts again.
OUTAGE_TOLERANCE = timedelta(minutes=10)

_Found = dict[str, tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Queries of templates: at the moment of the evaluation."""

    query: Query
    now: datetime

    def __call__(self, expr: str) -> Sequence[tuple[Labels, float]]:
        return self.query(expr, self.now)


class Evaluator:
    """Keeps the state of every alert between evaluations. One thread at a time per group."""

    def __init__(
        self,
        book: RuleBook,
        severities: Mapping[str, str] | None = None,
        external_labels: Mapping[str, str] | None = None,
        *,
        external_url: str = "",
        attach_external: bool = True,
    ) -> None:
        """``attach_external=False``: external labels are seen by templates only, as in Prometheus's own tests."""
        self.book = book
        self._severities = dict(severities or {})
        self._external = dict(external_labels or {})
        self._attached = self._external if attach_external else {}
        self._external_url = external_url
        self._memory: dict[str, Memory] = {}
        self._health: dict[str, RuleHealth] = {}

    # --- life ------------------------------------------------------------------------------------------------------

    def restore(self, alerts: Iterable[Alert], now: datetime) -> list[AlertChange]:
        """Take up open alerts of an earlier life. Answers the end of those whose rule is gone, to be saved."""
        orphans: list[AlertChange] = []
        for alert in alerts:
            active = _revived(alert, now)
            key = self._owner(alert)
            if key is None:
                active.end(now, "rule_removed")
                orphans.append(_change_of(active, alert.rule, alert.group, alert.expr, now))
            else:
                self._memory.setdefault(key, Memory()).active[alert.fingerprint] = active
        return orphans

    def replace_book(self, book: RuleBook, now: datetime) -> list[AlertChange]:
        """Go on with other rules: alerts of rules that are still there keep their state, the others end."""
        owners = {rule.key: (group, rule) for group, rule in self.book.alert_rules()}
        self.book = book
        kept = {rule.key for _, rule in book.rules()}
        ended: list[AlertChange] = []
        for key in [key for key in self._memory if key not in kept]:
            memory = self._memory.pop(key)
            for active in memory.active.values():
                group, rule = owners[key]
                active.end(now, "rule_removed")
                if active.saved is not None:
                    ended.append(_change_of(active, rule.name, group.name, rule.expr, now))
        self._health = {key: health for key, health in self._health.items() if key in kept}
        return ended

    def confirm(self, saved: Iterable[Saved]) -> None:
        """Called after commit: only what is written counts as told, the rest is offered again next time."""
        rows = {one.alert.fingerprint: one.alert for one in saved}
        for memory in self._memory.values():
            for mark in [mark for mark in memory.active if mark in rows]:
                active, row = memory.active[mark], rows[mark]
                active.id, active.correlation_id = row.id, row.correlation_id
                active.incident_id = row.incident_id or active.incident_id
                active.saved, active.saved_at = row.state, row.last_evaluated_at
                if active.over and row.state is active.state:
                    del memory.active[mark]

    def active(self) -> list[tuple[AlertRule, Active]]:
        """Everything pending, firing or unknown, rule by rule."""
        rules = {rule.key: rule for _, rule in self.book.alert_rules()}
        return [
            (rules[key], active)
            for key, memory in list(self._memory.items())  # copies: asked by pages while the rules' thread evaluates
            if key in rules
            for active in list(memory.active.values())
            if not active.over
        ]

    def health(self) -> Mapping[str, RuleHealth]:
        """By rule key, rules never evaluated included."""
        unseen = RuleHealth(rule="", health=Health.UNKNOWN)
        return {rule.key: self._health.get(rule.key, unseen) for _, rule in self.book.rules()}

    # --- one evaluation --------------------------------------------------------------------------------------------

    def evaluate_group(self, group: Group, now: datetime, query: Query) -> GroupResult:
        """Every rule of the group in order. A rule that fails is counted and its alerts are kept, as unknown."""
        changes: list[AlertChange] = []
        samples: list[Sample] = []
        health: dict[str, RuleHealth] = {}
        asked = now - group.query_offset
        for rule in group.rules:
            memory = self._memory.setdefault(rule.key, Memory())
            error, written, began = "", list[Sample](), time.perf_counter()
            try:
                if isinstance(rule, AlertRule):
                    self._alerting(group, rule, memory, asked, now, query)
                else:
                    written = recording(group, rule, query(rule.expr, asked))
            except QueryError as problem:
                error = str(problem)
                for one in memory.active.values():
                    one.unknown, one.reason = not one.over, "evaluation_failed"
            if isinstance(rule, AlertRule):
                written = alert_series(memory)
                changes += self._changes(group, rule, memory, now, error)
            if not error:
                written = with_ends(memory, written)
                samples += written
            state = Health.ERR if error else Health.OK
            count = len(memory.written)
            seconds = time.perf_counter() - began
            health[rule.key] = RuleHealth(
                rule=rule.key, health=state, error=error, at=now, series=count, seconds=seconds
            )
        self._health.update(health)
        ticks = [tick(group, now, samples)] if samples else []
        return GroupResult(
            group=group.name, at=now, changes=changes, ticks=ticks, health=health, histograms=histograms(samples)
        )

    def _alerting(
        self, group: Group, rule: AlertRule, memory: Memory, asked: datetime, now: datetime, query: Query
    ) -> None:
        ask = _Asking(query, now)
        found = self._instances(rule, query(rule.expr, asked), ask)
        if group.limit and len(found) > group.limit:
            raise TooManyError(f"exceeded limit of {group.limit} with {len(found)} alerts", kind="execution")
        for mark, (instance, value) in found.items():
            current = memory.active.get(mark)
            if current is None or current.over:
                # an episode whose end is not written yet is finished first: its row must say resolved
                if current is not None and current.saved is not None:
                    continue
                current = self._new(rule, mark, instance, value, ask)
                memory.active[mark] = current
            current.value, current.unknown, current.forgive = value, False, 0
            current.annotations = self._annotations(rule, instance, value, ask)
            current.keep_firing_since, current.evaluated_at = None, now
        for mark in [mark for mark in memory.active if mark not in found]:
            _absent(memory, mark, rule, now)
        for current in memory.active.values():
            if not (current.firing or current.over or current.unknown) and now - current.active_at >= rule.hold:
                current.firing, current.fired_at, current.reason = True, now, "condition_held"

    def _instances(self, rule: AlertRule, answer: Sequence[tuple[Labels, float]], ask: _Asking) -> _Found:
        found: _Found = {}
        for series, value in answer:
            own = {name: text for name, text in series if name != METRIC_NAME}
            context = self._context(own, value, ask)
            extra = {name: _filled(text, context) for name, text in rule.labels.items()}
            merged = {**self._attached, **own, **extra, "alertname": rule.name}
            merged = {name: text for name, text in merged.items() if text}
            mark = identity(rule, merged)
            if mark in found:
                raise QueryError("vector contains metrics with the same labelset after applying alert labels",
                                 kind="execution")  # fmt: skip
            found[mark] = (merged, value)
        return found

    def _new(self, rule: AlertRule, mark: str, instance: Mapping[str, str], value: float, ask: _Asking) -> Active:
        return Active(
            fingerprint=mark,
            labels=instance,
            annotations=self._annotations(rule, instance, value, ask),
            severity=severity_of(instance, self._severities),
            value=value,
            active_at=ask.now,
            reason="condition_met",
        )

    def _annotations(
        self, rule: AlertRule, instance: Mapping[str, str], value: float, ask: _Asking
    ) -> Mapping[str, str]:
        context = self._context(instance, value, ask)
        return {name: _filled(text, context) for name, text in rule.annotations.items()}

    def _context(self, own: Mapping[str, str], value: float, ask: _Asking) -> Context:
        return Context(
            labels=own,
            value=value,
            external_labels=self._external,
            external_url=self._external_url,
            ask=ask,
            now_seconds=ask.now.timestamp(),
        )

    def _changes(
        self, group: Group, rule: AlertRule, memory: Memory, now: datetime, error: str
    ) -> Sequence[AlertChange]:
        changed: list[AlertChange] = []
        for mark, active in list(memory.active.items()):
            if active.over and active.saved is None:
                del memory.active[mark]  # came and went before anybody wrote it down
                continue
            refresh = active.saved_at is None or now - active.saved_at >= REFRESH
            if active.state is active.saved and not refresh:
                continue
            change = _change_of(active, rule.name, group.name, rule.expr, now, error)
            changed.append(change)
        return changed

    def _owner(self, alert: Alert) -> str | None:
        for group, rule in self.book.alert_rules():
            same = (rule.name, group.name) == (alert.rule, alert.group)
            if same and identity(rule, alert.labels) == alert.fingerprint:
                return rule.key
        return None


def identity(rule: AlertRule, instance: Mapping[str, str]) -> str:
    """The alert's fingerprint: the rule's key and the labels, nothing that changes with time."""
    return fingerprint(labels(None, {**instance, "__rule__": rule.key}))


def _filled(text: str, context: Context) -> str:
    try:
        return render(text, context)
    except TemplateError as error:
        return f"<error expanding template: {error}>"


def _absent(memory: Memory, mark: str, rule: AlertRule, now: datetime) -> None:
    """The series is gone: pending ends, firing may be kept for a while, the rest is resolved."""
    current = memory.active[mark]
    if current.over:
        return
    current.unknown, current.evaluated_at = False, now
    if current.forgive > 0:
        current.forgive -= 1
    elif not current.firing:
        current.end(now, "condition_cleared")
    else:
        current.keep_firing_since = current.keep_firing_since or now
        if now - current.keep_firing_since >= rule.keep_firing_for:
            current.end(now, "condition_cleared")


def _revived(alert: Alert, now: datetime) -> Active:
    firing = alert.fired_at is not None
    seen = alert.last_evaluated_at or alert.active_at
    lasted = firing or now - seen <= OUTAGE_TOLERANCE
    return Active(
        fingerprint=alert.fingerprint,
        labels=dict(alert.labels),
        annotations=dict(alert.annotations),
        severity=alert.severity,
        value=alert.value,
        active_at=alert.active_at if lasted else now,
        firing=firing,
        fired_at=alert.fired_at,
        keep_firing_since=alert.keep_firing_since,
        evaluated_at=alert.last_evaluated_at,
        reason="restored",
        forgive=1,
        id=alert.id,
        correlation_id=alert.correlation_id,
        incident_id=alert.incident_id,
        saved=alert.state,
        saved_at=alert.last_evaluated_at,
    )


def _change_of(active: Active, rule: str, group: str, expr: str, now: datetime, error: str = "") -> AlertChange:
    alert = Alert(
        id=active.id,
        fingerprint=active.fingerprint,
        rule=rule,
        group=group,
        expr=expr,
        labels=active.labels,
        annotations=active.annotations,
        state=active.state,
        severity=active.severity,
        value=active.value,
        active_at=active.active_at,
        fired_at=active.fired_at,
        resolved_at=active.resolved_at,
        keep_firing_since=active.keep_firing_since,
        last_evaluated_at=now,
        incident_id=active.incident_id,
        correlation_id=active.correlation_id,
    )
    same = active.state is active.saved
    evidence: dict[str, object] = {
        "expr": expr,
        "value": active.value,
        "samples": [{"labels": dict(active.labels), "value": active.value}],
        "evaluated_at": now.isoformat(),
    }
    if error:
        evidence["error"] = error
    return AlertChange(
        alert=alert,
        old=active.saved or AlertState.INACTIVE,
        reason="refreshed" if same else active.reason,
        evidence=evidence,
    )
