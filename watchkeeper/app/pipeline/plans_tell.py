"""What a turn of a contingency plan tells, as messages in the transaction of the turn. Fails open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from notifiers.contingency import Occasion, notice, turn
from remediation.contingency import Turn
from watchkeeper.clock import to_ms
from watchkeeper.config.plans import Notice
from watchkeeper.model import Message, Severity, StepState
from watchkeeper.store.state import Unit

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.tell import Telling
    from watchkeeper.config.plans import Plans

#: The audience that hears of every turn.
ONCALL = "oncall"
#: What is told when no step is meant.
OF_RUN = ("start", "recovered", "back", "late", "end", "aborted")


def tell(telling: Telling, section: Plans, unit: Unit, made: Turn) -> int:
    """Messages into the outbox; how many."""
    count = 0
    for audience, occasion, key, text in _all(section, unit, made):
        for channel in _channels(telling, section, audience, drill=made.run.drill):
            renderer = telling.renderers[channel]
            message: Message = turn(renderer, occasion) if text is None else notice(renderer, occasion, text)
            rank = message.severity.rank if message.severity else Severity.P3.rank
            put = unit.outbox.put(
                channel, f"{key}@{channel}", message, priority=rank, at=made.now, correlation_id=made.run.correlation_id
            )
            count += put is not None
    return count


def _all(section: Plans, unit: Unit, made: Turn) -> Iterator[tuple[str, Occasion, str, Notice | None]]:
    """Audience, occasion, key, and the plan's own words where it has some."""
    for told in made.told:
        name, _, word = told.partition(":")
        of_step = ":" in told
        occasion = _occasion(section, unit, made, name if of_step else "", word or ("step" if of_step else name))
        key = f"{made.run.id}/{told}/{to_ms(made.now)}"
        if not of_step or word or made.plan.step(name).kind == "person":
            yield ONCALL, occasion, f"{key}/turn", None
        if not word:
            for number, text in enumerate(made.plan.notices):
                if text.at == name:
                    yield text.audience, occasion, f"{key}/{number}", text


def _occasion(section: Plans, unit: Unit, made: Turn, step: str, word: str) -> Occasion:
    run = made.run
    incident = unit.incidents.get(run.incident_id) if run.incident_id else None
    found = next((one for one in run.steps if one.name == step), None)
    blocked = found is not None and found.state in (StepState.BLOCKED, StepState.FAILED)
    return Occasion(
        word=word,
        run=run,
        plan=made.plan,
        now=made.now,
        severity=incident.severity if incident else None,
        service=incident.labels.get("service", "") if incident else made.plan.trigger.service,
        step=made.plan.step(step) if step else None,
        reason=found.note if found and blocked else run.reason if word == "start" else "",
        vendors={one.name: one for one in section.vendors},
    )


def _channels(telling: Telling, section: Plans, audience: str, *, drill: bool) -> Sequence[str]:
    """Drills reach the one audience that is named for them; those on call are reached whatever is configured."""
    if drill:
        return _of(section, section.drill_audience, telling.channels)
    found = _of(section, audience, telling.channels)
    return found or (list(telling.channels) if audience == ONCALL else [])


def _of(section: Plans, audience: str, channels: Mapping[str, object]) -> list[str]:
    names = next((one.channels for one in section.audiences if one.name == audience), [])
    return [name for name in names if name in channels]
