"""Pending, firing, resolved: the life of alerts over real PromQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.rules import Ask, at, failing, query_over, state_at

from rules import AlertRule, Evaluator, GroupResult, Health, RuleBook, load_text, save
from rules.alerts import severity_of
from watchkeeper.model import AlertState, Severity, format_series, is_stale
from watchkeeper.promql import MemoryReader
from watchkeeper.store.state import State

DOWN = """
groups:
- name: hosts
  interval: 15s
  rules:
  - alert: HostDown
    expr: up == 0
    for: 1m
    keep_firing_for: 30s
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.instance }} is down ({{ $value }})"}
  - record: hosts:up:sum
    expr: sum(up)
    labels: {team: ops}
"""


class Life:
    """An evaluator, a reader and a database, stepped by hand."""

    def __init__(self, state: State, text: str = DOWN) -> None:
        self.state, self.book = state, load_text(text)
        self.reader = MemoryReader()
        self.evaluator = Evaluator(self.book, {"critical": "P0"})

    def restart(self, seconds: float) -> None:
        self.evaluator = Evaluator(self.book, {"critical": "P0"})
        with self.state.read() as unit:
            rows = unit.alerts.open()
        assert self.evaluator.restore(rows, at(seconds)) == []

    def step(self, seconds: float, query: Ask | None = None, *, write: bool = True) -> GroupResult:
        ask = query or query_over(self.reader)
        result = self.evaluator.evaluate_group(self.book.groups[0], at(seconds), ask)
        if write:
            with self.state.begin() as unit:
                saved = save(result.changes, unit)
            self.evaluator.confirm(saved)
        return result

    def states(self) -> list[tuple[str, str]]:
        with self.state.read() as unit:
            alerts = unit.alerts.recent(at(-1e9))
            return [(row.old_state, row.new_state) for alert in alerts for row in unit.transitions.of(alert.id)]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(state_at(tmp_path / "state.db"))


def load_down(life: Life, text: str) -> None:
    life.reader.load("15s", f'up{{instance="a"}} {text}')


def test_an_alert_is_pending_then_firing_after_its_for_then_kept_and_resolved(life: Life) -> None:
    load_down(life, "1 0x6 1x20")
    told = [(seconds, change.new, change.reason) for seconds in range(0, 180, 15)
            for change in life.step(seconds).changes if change.reason != 'refreshed']  # fmt: skip
    assert told == [
        (15, AlertState.PENDING, "condition_met"),
        (75, AlertState.FIRING, "condition_held"),
        (120 + 30, AlertState.RESOLVED, "condition_cleared"),
    ]
    assert life.states() == [("inactive", "pending"), ("pending", "firing"), ("firing", "resolved")]
    assert life.evaluator.active() == []


def test_a_pending_alert_that_clears_never_fires(life: Life) -> None:
    load_down(life, "0x2 1x20")
    for seconds in range(0, 120, 15):
        life.step(seconds)
    assert life.states() == [("inactive", "pending"), ("pending", "inactive")]


def test_annotations_show_the_value_and_the_labels(life: Life) -> None:
    load_down(life, "0x20")
    (change,) = life.step(0).changes
    assert change.alert.annotations == {"summary": "a is down (0)"}
    assert change.alert.labels == {"alertname": "HostDown", "instance": "a", "severity": "critical"}
    assert change.alert.severity is Severity.P0


def test_the_row_carries_expression_value_and_samples_as_evidence(life: Life) -> None:
    load_down(life, "0x20")
    life.step(0)
    with life.state.read() as unit:
        (alert,) = unit.alerts.open()
        (transition,) = unit.transitions.of(alert.id)
    assert alert.correlation_id == f"corr-{alert.id}" == transition.correlation_id
    assert transition.evidence["expr"] == "up == 0"
    assert transition.evidence["value"] == 0
    assert transition.reason == "condition_met"


def test_alerts_and_recorded_series_are_written_with_the_end_of_the_old_state(life: Life) -> None:
    load_down(life, "0x20")
    life.step(45)
    (tick,) = life.step(105).ticks
    assert tick.target == "rule/hosts"
    values = dict(zip(map(format_series, tick.layout.series), tick.values.tolist(), strict=True))
    stale = {
        format_series(series) for series, gone in zip(tick.layout.series, is_stale(tick.values), strict=True) if gone
    }
    pairs = 'alertname="HostDown",{}instance="a",severity="critical"'
    assert stale == {"ALERTS{" + pairs.format('alertstate="pending",') + "}"}
    assert values["ALERTS{" + pairs.format('alertstate="firing",') + "}"] == 1
    assert values["ALERTS_FOR_STATE{" + pairs.format("") + "}"] == 45
    assert values['hosts:up:sum{team="ops"}'] == 0


def test_a_failed_query_never_resolves_an_alert(life: Life) -> None:
    load_down(life, "0x8 1x20")
    life.step(0)
    life.step(60)
    result = life.step(75, failing)
    assert [change.new for change in result.changes] == [AlertState.UNKNOWN]
    assert result.failures == 2
    assert "query timed out" in life.evaluator.health()["hosts/HostDown"].error
    assert [change.new for change in life.step(90).changes] == [AlertState.FIRING]
    life.step(165)
    assert life.step(195).changes[0].new is AlertState.RESOLVED


def test_a_rule_not_yet_evaluated_is_unknown(life: Life) -> None:
    assert {health.health for health in life.evaluator.health().values()} == {Health.UNKNOWN}


def test_the_group_limit_keeps_what_is_known_and_counts_the_failure(tmp_path: Path) -> None:
    life = Life(state_at(tmp_path / "s.db"), DOWN.replace("interval: 15s", "limit: 1"))
    life.reader.load("15s", 'up{instance="a"} 0x20\nup{instance="b"} 1x3 0x20')
    life.step(0)
    result = life.step(60)
    assert result.health["hosts/HostDown"].error == "exceeded limit of 1 with 2 alerts"
    assert [change.new for change in result.changes] == [AlertState.UNKNOWN]


def test_two_series_that_become_one_alert_are_an_error(tmp_path: Path) -> None:
    text = DOWN.replace("labels: {severity: critical}", "labels: {instance: all}")
    life = Life(state_at(tmp_path / "s.db"), text)
    life.reader.load("15s", 'up{instance="a"} 0x20\nup{instance="b"} 0x20')
    assert "same labelset" in life.step(0).health["hosts/HostDown"].error


def test_for_survives_a_restart(life: Life) -> None:
    load_down(life, "0x40")
    life.step(0)
    life.restart(30)
    assert [change.new for change in life.step(45).changes] == []
    assert [change.new for change in life.step(60).changes] == [AlertState.FIRING]


def test_after_a_long_outage_a_pending_alert_starts_again(life: Life) -> None:
    load_down(life, "0x400")
    life.step(0)
    life.restart(1200)
    life.step(1200)
    assert [change.new for change in life.step(1245).changes] == []
    assert AlertState.FIRING in [change.new for change in life.step(1260).changes]


def test_an_alert_that_cleared_while_we_were_down_is_resolved_after_one_look_of_grace(life: Life) -> None:
    load_down(life, "0x8 1x80")
    life.step(0)
    life.step(60)
    life.restart(600)
    assert [c.new for c in life.step(600).changes if c.reason != "refreshed"] == []
    life.step(615)
    assert [change.new for change in life.step(645).changes] == [AlertState.RESOLVED]


def test_an_alert_whose_rule_is_gone_is_resolved_at_start(life: Life) -> None:
    load_down(life, "0x20")
    life.step(0)
    life.step(60)
    with life.state.read() as unit:
        rows = unit.alerts.open()
    (orphan,) = Evaluator(RuleBook()).restore(rows, at(90))
    assert (orphan.new, orphan.reason) == (AlertState.RESOLVED, "rule_removed")


def test_a_new_book_keeps_the_state_of_rules_that_stay_and_ends_the_others(life: Life) -> None:
    load_down(life, "0x20")
    life.step(0)
    assert life.evaluator.replace_book(load_text(DOWN.replace("for: 1m", "for: 30s")), at(15)) == []
    life.book = life.evaluator.book
    assert life.step(30).changes[0].new is AlertState.FIRING
    (ended,) = life.evaluator.replace_book(load_text("groups: []"), at(45))
    assert (ended.new, ended.alert.id) == (AlertState.RESOLVED, "alert-1")


def test_a_change_that_was_not_written_is_offered_again(life: Life) -> None:
    load_down(life, "0x20")
    life.step(0)
    assert [c.new for c in life.step(60, write=False).changes] == [AlertState.FIRING]
    assert [c.new for c in life.step(75).changes] == [AlertState.FIRING]
    assert life.states() == [("inactive", "pending"), ("pending", "firing")]


def test_a_resolve_that_was_not_written_is_offered_again_even_if_the_condition_is_back(life: Life) -> None:
    life.reader.load("15s", 'up{instance="a"} 0x5 1x6 0x20')
    life.step(0)
    life.step(60)
    life.step(90)
    life.step(135, write=False)
    assert [c.new for c in life.step(180).changes] == [AlertState.RESOLVED]
    assert [(c.new, c.alert.id) for c in life.step(195).changes] == [(AlertState.PENDING, "")]


def test_external_labels_travel_with_the_alert_and_fill_templates(life: Life) -> None:
    text = DOWN.replace("is down", "is down in {{ $externalLabels.environment }}")
    book = load_text(text)
    life.reader.load("15s", 'up{instance="a"} 0x9')
    ask = query_over(life.reader)
    alert = Evaluator(book, {}, {"environment": "PROD"}).evaluate_group(book.groups[0], at(0), ask).changes[0].alert
    assert alert.labels["environment"] == "PROD"
    assert alert.annotations["summary"] == "a is down in PROD (0)"
    quiet = Evaluator(book, {}, {"environment": "PROD"}, attach_external=False)
    assert "environment" not in quiet.evaluate_group(book.groups[0], at(0), ask).changes[0].alert.labels


def test_a_recording_rule_that_makes_one_series_twice_is_an_error() -> None:
    book = load_text("groups: [{name: g, rules: [{record: x, expr: up, labels: {instance: same}}]}]")
    reader = MemoryReader().load("15s", 'up{instance="a"} 0x9\nup{instance="b"} 0x9')
    result = Evaluator(book).evaluate_group(book.groups[0], at(0), query_over(reader))
    assert "same labelset" in result.health["g/x"].error
    assert result.ticks == []


def test_a_recording_rule_obeys_the_limit_and_query_offset() -> None:
    book = load_text("groups: [{name: g, limit: 1, query_offset: 30s, rules: [{record: x, expr: up}]}]")
    reader = MemoryReader().load("15s", "up 1 2 3 4")
    (tick,) = Evaluator(book).evaluate_group(book.groups[0], at(45), query_over(reader)).ticks
    assert np.array_equal(tick.values, [2.0])
    reader.load("15s", 'up{a="b"} 1 2 3 4')
    assert Evaluator(book).evaluate_group(book.groups[0], at(45), query_over(reader)).failures == 1


def test_a_broken_template_shows_its_error_in_place() -> None:
    book = load_text("groups: [{name: g, rules: [{alert: A, expr: up, annotations: {s: '{{ humanize $labels.x }}'}}]}]")
    reader = MemoryReader().load("15s", 'up{x="word"} 1')
    (change,) = Evaluator(book).evaluate_group(book.groups[0], at(0), query_over(reader)).changes
    assert change.alert.annotations["s"].startswith("<error expanding template: humanize:")
    assert isinstance(book.groups[0].rules[0], AlertRule)
    assert book.groups[0].interval == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("word", "level"),
    [("P0", Severity.P0), ("critical", Severity.P1), ("warning", Severity.P2), ("info", Severity.P3),
     ("odd", Severity.P2), ("", Severity.P2), ("mine", Severity.P3)],
)  # fmt: skip
def test_words_of_severity_become_levels(word: str, level: Severity) -> None:
    assert severity_of({"severity": word}, {"mine": "P3"}) is level
