"""What is done in each state. Every handler is safe to repeat; None means: stay, and look again next time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from remediation.run import Run
from watchkeeper.model import ActionRecord, ActionState

from . import after, before, effect

Handler = Callable[[Run, ActionRecord], Awaitable[ActionRecord | None]]

HANDLERS: dict[ActionState, Handler] = {
    ActionState.OBSERVED: before.observed,
    ActionState.CONFIRMING: before.confirming,
    ActionState.PROPOSED: before.proposed,
    ActionState.AWAITING_APPROVAL: before.awaiting_approval,
    ActionState.ARMED: effect.armed,
    ActionState.INTENT_COMMITTED: effect.intent_committed,
    ActionState.EXECUTING: effect.executing,
    ActionState.UNKNOWN: effect.unknown,
    ActionState.RECONCILING: effect.reconciling,
    ActionState.VERIFYING: after.verifying,
    ActionState.FAILED: after.failed,
    ActionState.ROLLING_BACK: after.rolling_back,
}

__all__ = ["HANDLERS", "Handler"]
