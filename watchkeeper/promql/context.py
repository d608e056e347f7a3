"""What one evaluation carries with it: reader, steps, limits, deadline and the remarks it collects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.promql import nodes
from watchkeeper.promql.durations import UNIT_MS
from watchkeeper.promql.memo import Memo

if TYPE_CHECKING:
    from watchkeeper.ports import SampleReader  # only the name: the ports bring the HTTP client with them

#: Step of a subquery that names none: Prometheus's default evaluation interval.
DEFAULT_SUBQUERY_STEP_MS = UNIT_MS["m"]


@dataclass(frozen=True, kw_only=True)
class QueryLimits:
    """What one query may use; crossing a limit is a QueryError, never a truncated answer."""

    max_samples: int = 50_000_000  #: samples held at once, input and results together
    timeout_seconds: float = 30.0
    max_points_per_series: int = 11_000  #: steps of a range query


@dataclass(slots=True)
class Shared:
    """The part of a context that subqueries share with their query."""

    limits: QueryLimits
    deadline: float
    monotonic: Callable[[], float]
    memo: Memo
    rest: Callable[[], None] | None = None  #: lets rules go first; none: this is a rule
    samples: int = 0
    warnings: dict[str, None] = field(default_factory=dict)  #: ordered set
    infos: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One grid of steps over one reader."""

    reader: SampleReader
    times: IntArray  #: shape [steps], milliseconds
    step_ms: int  #: 0 for an instant query
    start_ms: int  #: of the whole query, also inside subqueries: what ``start()`` and ``@ start()`` mean
    end_ms: int
    query_step_ms: int
    lookback_ms: int
    shared: Shared

    @property
    def steps(self) -> int:
        return len(self.times)

    def at_times(self, times: IntArray, step_ms: int) -> Context:
        """The same query on another grid."""
        return replace(self, times=times, step_ms=step_ms)

    def check(self) -> None:
        """Let rules go first; raises QueryError once the time is up. Called between operators."""
        if self.shared.rest is not None:
            self.shared.rest()
        if self.shared.monotonic() > self.shared.deadline:
            limit = self.shared.limits.timeout_seconds
            raise QueryError(f"query timed out in expression evaluation after {limit:g}s", kind="timeout")

    def spend(self, samples: int) -> None:
        """Count samples against the limit."""
        self.shared.samples += samples
        self.afford(0)

    def afford(self, samples: int) -> None:
        """Raises QueryError when so many more samples would be too many. Asked before the memory is taken."""
        if self.shared.samples + samples > self.shared.limits.max_samples:
            raise QueryError(
                "query processing would load too many samples into memory in query execution", kind="execution"
            )

    def warn(self, message: str, position: int) -> None:
        self.shared.warnings[f"PromQL warning: {message} (1:{position})"] = None

    def inform(self, message: str, position: int) -> None:
        self.shared.infos[f"PromQL info: {message} (1:{position})"] = None

    def seconds(self) -> FloatArray:
        """Step times in seconds."""
        seconds: FloatArray = self.times / 1000.0
        return seconds

    def moments(self, offset_ms: int, at: nodes.At | None) -> IntArray:
        """The times a selector looks at, one per step, after ``@`` and ``offset``."""
        if at is None:
            return self.times - offset_ms
        fixed = {"start": self.start_ms, "end": self.end_ms}.get(at.kind, at.time_ms)
        return np.full(self.steps, fixed - offset_ms, dtype=np.int64)
