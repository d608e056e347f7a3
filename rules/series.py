"""What rules write: recorded series, ALERTS, and the marks of those that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, STALE_NAN, AlertState, Labels, Layout, Tick, labels
from watchkeeper.promql import Histogram, NativeValue

from .alerts import Active
from .book import Group, RecordRule


class TooManyError(QueryError):
    """A rule gave more alerts or series than its group allows."""


@dataclass(slots=True)
class Sample:
    labels: Labels
    value: float


@dataclass(slots=True)
class Memory:
    """What one rule remembers between evaluations."""

    active: dict[str, Active] = field(default_factory=dict)
    written: tuple[Labels, ...] = ()  #: series of the last tick, to mark those that went away


def recording(group: Group, rule: RecordRule, answer: Sequence[tuple[Labels, float]]) -> list[Sample]:
    if group.limit and len(answer) > group.limit:
        raise TooManyError(f"exceeded limit of {group.limit} with {len(answer)} series", kind="execution")
    found: dict[Labels, float] = {}
    for series, value in answer:
        named = labels(rule.name, {**dict(series), **rule.labels, METRIC_NAME: rule.name})
        if named in found:
            raise QueryError("vector contains metrics with the same labelset after applying rule labels",
                             kind="execution")  # fmt: skip
        found[named] = value
    return [Sample(series, value) for series, value in found.items()]


def alert_series(memory: Memory) -> list[Sample]:
    """ALERTS and ALERTS_FOR_STATE of everything pending or firing, as Prometheus writes them."""
    samples: list[Sample] = []
    for active in memory.active.values():
        if active.over:
            continue
        state = AlertState.FIRING if active.firing else AlertState.PENDING
        samples.append(Sample(labels("ALERTS", {**active.labels, "alertstate": state}), 1.0))
        started = active.active_at.timestamp()
        samples.append(Sample(labels("ALERTS_FOR_STATE", dict(active.labels)), started))
    return samples


def with_ends(memory: Memory, samples: list[Sample]) -> list[Sample]:
    """The samples, and a staleness marker for each series that was written last time and is not there now."""
    now = {sample.labels for sample in samples}
    ended = [Sample(series, STALE_NAN) for series in memory.written if series not in now]
    memory.written = tuple(sample.labels for sample in samples)
    return samples + ended


def tick(group: Group, now: datetime, samples: Sequence[Sample]) -> Tick:
    unique = {sample.labels: sample.value for sample in samples}
    return Tick(
        target=f"rule/{group.name}",
        time_ms=to_ms(now),
        layout=Layout(tuple(unique)),
        values=np.array(list(unique.values()), dtype=np.float64),
    )


def histograms(samples: Sequence[Sample]) -> Mapping[Labels, Histogram]:
    """The recorded series that are native histograms; stores of floats have no place for them."""
    return {sample.labels: sample.value.histogram for sample in samples if isinstance(sample.value, NativeValue)}
