"""The ledgers of alerts and actions, checked row by row against the steps that led there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from incidents import read_ledger
from watchkeeper.app.paths import DataDir
from watchkeeper.model import ActionState
from watchkeeper.store.state import State, Unit, sqlite_url
from watchkeeper.store.state.repositories.transitions import Transition

EVER = datetime(2000, 1, 1, tzinfo=UTC)
#: What an alert that fired may have come to.
OUTCOMES = {"notified", "grouped", "waiting", "silenced", "inhibited", "expected", "resolved_before_told"}
#: How an action that is over is entered.
DONE = {ActionState.SUCCEEDED, ActionState.ROLLED_BACK, ActionState.DRY_RUN, ActionState.SUGGESTED}
REFUSED = {ActionState.SUPPRESSED, ActionState.REJECTED, ActionState.EXPIRED, ActionState.ABORTED, ActionState.CLEARED}
#: An effect may have begun in these, and in none that comes before a committed intent.
AFTER_INTENT = {ActionState.EXECUTING, ActionState.VERIFYING, ActionState.SUCCEEDED, ActionState.ROLLED_BACK}


def assert_books(unit: Unit) -> None:
    """Alerts: raised = notified + grouped + waiting + suppressed. Actions: proposed = done + refused + escalated +
    under way. Messages: each in one known state. The audit's chain is whole."""
    assert unit.audit.verify() is None
    _alerts(unit)
    _actions(unit)
    _deliveries(unit)


def assert_books_of(data: Path, url: str = "") -> None:
    """The same, of an engine that has ended; ``url``: where its state is when it is not in its folder."""
    state = State(url or sqlite_url(DataDir(data).state))
    try:
        with state.read() as unit:
            assert_books(unit)
    finally:
        state.close()


def _alerts(unit: Unit) -> None:
    raised = sum(step.new_state == "firing" for step in unit.transitions.since(EVER, "alert", 100_000))
    told: dict[str, str] = {}
    for incident in unit.incidents.recent(EVER, 10_000):
        telling = incident.details.get("telling")
        told |= telling["alerts"] if isinstance(telling, Mapping) else {}
    assert raised == len(told), (raised, told)
    assert set(told.values()) <= OUTCOMES
    ledger = read_ledger(unit)
    assert ledger.balanced
    assert ledger.raised == raised, ledger
    assert {word: count for word, count in ledger.outcomes().items() if count} == Counter(told.values())


def _actions(unit: Unit) -> None:
    lives: dict[str, list[Transition]] = defaultdict(list)
    for step in unit.transitions.since(EVER, "action", 100_000):
        lives[step.subject_id].append(step)
    records = {record.id: record for record in unit.actions.recent(EVER, 100_000)}
    assert records.keys() == lives.keys()
    for name, steps in lives.items():
        assert [step.old_state for step in steps] == ["", *(step.new_state for step in steps[:-1])], name
        assert records[name].state == steps[-1].new_state, name
        states = [step.new_state for step in steps]
        if AFTER_INTENT & set(states):
            first = min(states.index(state) for state in AFTER_INTENT if state in states)
            assert ActionState.INTENT_COMMITTED in states[:first], (name, states)
    counts = unit.actions.counts()
    over = {
        "done": _sum(counts, DONE),
        "refused": _sum(counts, REFUSED),
        "escalated": counts.get(ActionState.ESCALATED, 0),
        "under way": len(unit.actions.active()),
    }
    assert len(lives) == sum(over.values()), (len(lives), over)


def _deliveries(unit: Unit) -> None:
    assert {state for _channel, state in unit.outbox.counts()} <= {"queued", "sending", "sent", "failed", "folded"}


def _sum(counts: dict[str, int], states: set[ActionState]) -> int:
    return sum(counts.get(state, 0) for state in states)
