"""What each room must offer. Parts fit these protocols by having the methods; they inherit nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from watchkeeper.errors import StoreError
from watchkeeper.model import (
    Forecast,
    Intent,
    Labels,
    LogBatch,
    Matcher,
    Matrix,
    Message,
    RiskClass,
    Scores,
    Service,
    Target,
    Tick,
)
from watchkeeper.outbound import Outbound
from watchkeeper.person import Person

# --- samples ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The ledger line of one append: received = stored + deduplicated + sum of rejected."""

    received: int
    stored: int
    deduplicated: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    sequence: int = 0  #: position in the log; durable once ``SampleStore.durable_sequence`` reaches it


class SampleReader(Protocol):
    """The read half: what PromQL, scoring and pages see. Thread-safe."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """All samples with start <= t <= end of the matching series, one matrix per time column.

        Series without any sample in the range are left out. Raises QueryError on a bad regex.
        """
        ...

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]: ...

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]: ...

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]: ...


class AgedSamples(Protocol):
    """Aggregates that answer for a time whose samples are no longer kept."""

    @property
    def until_ms(self) -> int:
        """From here on the samples are there."""
        ...

    @property
    def resolution_ms(self) -> int:
        """Width of the widest bucket in the answer."""
        ...

    def reader(self, view: str) -> SampleReader:
        """One aggregate as if it were samples: min, max, sum, count, last, or counter (last, with resets shown)."""
        ...


class SampleStore(SampleReader, Protocol):
    """Append is visible on return and durable within 1 s; ``sync`` waits for the disk."""

    def append(self, tick: Tick) -> Appended:
        """Keep one tick. Same target and time again: deduplicated. Older than the newest: rejected{out_of_order}."""
        ...

    def append_all(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]:
        """``append`` for many at the price of one, each answered for itself."""
        ...

    def sync(self) -> int:
        """Make everything appended so far durable (fdatasync) and return the durable sequence."""
        ...

    @property
    def durable_sequence(self) -> int: ...

    def maintain(self, now: datetime) -> Mapping[str, int]:
        """Cut blocks, drop what retention allows, set damage aside; returns counts for the log."""
        ...

    def stats(self) -> Mapping[str, int | float]:
        """series, samples_in_head, blocks, bytes, oldest_ms, newest_ms, damaged_frames, ledger totals."""
        ...

    def close(self) -> None: ...


class LineKeeper(Protocol):
    """Takes lines of logs. Thread-safe; a collection is durable when ``append`` returns."""

    def append(
        self, source: str, batches: Sequence[LogBatch], position: Mapping[str, Any] | None, now: datetime
    ) -> int:
        """Keep lines and how far they were read as one fact; answers lines kept. Raises StoreError: none is."""
        ...

    def positions(self) -> Mapping[str, Any]:
        """Source -> how far its lines are kept."""
        ...

    def close(self) -> None: ...


class LogStore(LineKeeper, Protocol):
    """Keeps lines of logs and answers questions about them."""

    def search(self, question: Any) -> Any:
        """Lines by text, field and time, newest first. Raises QueryError."""
        ...

    def keep_for(self, retention: timedelta, classes: Sequence[Any], retention_bytes: int | None) -> None: ...

    def erase(self, person: Person, now: datetime, *, dry_run: bool) -> Any:
        """Take out every line that names the person: lines, segments, unreadable. Raises StoreError: ask again."""
        ...

    def maintain(self, now: datetime) -> Mapping[str, int]:
        """Seal, drop what retention allows; returns counts for the log."""
        ...

    def stats(self) -> Mapping[str, int]:
        """segments, bytes, damaged, full."""
        ...

    def backup(self, destination: Path, *, link: bool = False) -> int:
        """A copy that opens as a store; returns its bytes. Raises StoreError."""
        ...


# --- collectors ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one collection brought, with its own ledger: received = samples in ticks + sum of rejected."""

    ticks: Sequence[Tick] = ()
    logs: Sequence[LogBatch] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)  #: reason -> samples or lines refused
    body_bytes: int = 0
    added: int | None = None  #: series that were not there last time; None where the kind does not know
    services: Sequence[Service] | None = None  #: every service that it discovers; None: it discovers none, or not now


class Collector(Protocol):
    """Reads one source. Options are the dataclass fields; ``name`` is given by the configuration."""

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        """One reading. Raises CollectError; must honour its own timeout and size limits."""
        ...

    async def close(self) -> None: ...


# --- detectors and forecasters: pure arithmetic ----------------------------------------------------------------------


class Detector(Protocol):
    """Many series at once. ``score`` equals repeated ``update``; state is arrays [series, k]."""

    def fit(self, matrix: Matrix) -> Any: ...

    def update(self, state: Any, column: Matrix) -> tuple[Any, Scores]: ...

    def score(self, matrix: Matrix) -> Scores: ...


class Forecaster(Protocol):
    """A batch of series of one frequency; regular time column, NaN gaps allowed."""

    def forecast(self, matrix: Matrix, horizon: int) -> list[Forecast]: ...


# --- rules -----------------------------------------------------------------------------------------------------------


class Query(Protocol):
    """PromQL as the rooms see it: an instant query answering (labels, value) pairs. Raises QueryError."""

    def __call__(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]: ...


# --- remediation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a target looks like now, read by the actuator before and after an effect."""

    state: Mapping[str, object]
    epoch: str  #: changes whenever anybody changes the target
    capacity: Mapping[str, float] = field(default_factory=dict)  #: healthy, total, floor ... where the kind knows it


class Action(Protocol):
    """One kind of change. ``read`` and ``plan`` are harmless; ``apply`` is called in the actuator process alone."""

    risk: RiskClass

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        """The target as it is. Raises ActionError when it cannot be read."""
        ...

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """(absolute state wanted, absolute state that undoes it). Pure."""
        ...

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """Bring the target to the state; compare-and-set where it can; returns evidence. Raises ActionError."""
        ...


class ActuatorClient(Protocol):
    """The engine's side of the UNIX socket to the actuator."""

    async def read(self, target: Target) -> Reading: ...

    async def submit(self, intent: Intent) -> Mapping[str, object]: ...

    async def outcome(self, idempotency_key: str) -> Mapping[str, object] | None: ...


# --- notifiers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the receiver said, without its secrets."""

    code: str
    detail: str


class Notifier(Protocol):
    """One channel. ``send`` raises DeliveryError unless the receiver's body says it took the message."""

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:
        """``key`` is the delivery's idempotency key (DingTalk's msgUuid)."""
        ...
