"""What one back-test may cost: evaluations counted before it starts, series and seconds while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Labels


class TooMuchError(WatchkeeperError):
    """The back-test asked for more work than one may ask for; the message says how to ask for less."""


@dataclass(slots=True)
class Bounds:
    evaluations: int = 100_000  #: rules times steps
    values: int = 5_000_000  #: values that queries answer, all together
    seconds: float = 30.0  #: of one back-test
    clock: Callable[[], float] = time.monotonic
    spent: int = 0  #: values so far
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def plan(self, evaluations: int) -> None:
        """Raises TooMuchError before any work when rules and steps are too many."""
        if evaluations > self.evaluations:
            raise TooMuchError(
                f"{evaluations} evaluations are more than {self.evaluations}; name one rule, take fewer days "
                "or a longer interval"
            )

    def spend(self, values: int) -> None:
        self.spent += values
        if self.spent > self.values:
            raise TooMuchError(f"more than {self.values} values were read; take fewer days or a narrower expression")
        if self.clock() - self.started > self.seconds:
            raise TooMuchError(f"it took longer than {self.seconds:g} s; take fewer days or one rule at a time")


class BoundedAsk:
    """Queries that are paid for; it is no QueryError when the money is out, so that no rule takes it for its own."""

    def __init__(self, ask: Ask, bounds: Bounds) -> None:
        self._ask, self._bounds = ask, bounds

    def __call__(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        self._bounds.spend(0)
        found = self._ask(expr, at)
        self._bounds.spend(len(found))
        return found

    def newest(self, expr: str, at: datetime) -> datetime | None:
        self._bounds.spend(1)
        return self._ask.newest(expr, at)
