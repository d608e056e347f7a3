"""What a question would cost, told without asking it: series, samples to read, points to work out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper.model import Labels, Matcher, MatchOp
from watchkeeper.promql.parse import selectors

if TYPE_CHECKING:
    from watchkeeper.ports import SampleReader  # only the name: the ports bring the HTTP client with them

#: How much is looked at to learn how dense samples are, in milliseconds.
LOOKED_MS = 600_000
#: Taken where no sample can be looked at: one in 15 seconds.
USUAL_MS = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorCost:
    """One selector of the question."""

    selector: str
    series: int
    start_ms: int  #: what it reads begins here, its range, offset and lookback included
    end_ms: int
    samples: int  #: by the density of the newest ten minutes of some of its series


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    selectors: Sequence[SelectorCost]
    steps: int
    points: int  #: series times steps: what an operator over all of them works out
    samples: int  #: read and worked out together, as the limit counts the first operators
    max_samples: int
    over: bool  #: it would be refused for its samples


def cost(reader: SampleReader, expr: str, times: tuple[int, int, int], *, lookback_ms: int, max_samples: int) -> Cost:
    """``times`` are start, end and step in milliseconds; step 0 is an instant question. Raises QueryError."""
    start, end, step = times
    found = []
    for matchers, window, offset in selectors(expr):
        back = window.total_seconds() * 1000 or lookback_ms
        shift = offset.total_seconds() * 1000
        found.append(_selector(reader, matchers, round(start - shift - back) + 1, round(end - shift)))
    steps = (end - start) // step + 1 if step > 0 else 1
    points = sum(one.series for one in found) * steps
    samples = sum(one.samples for one in found) + points
    return Cost(
        selectors=found, steps=steps, points=points, samples=samples, max_samples=max_samples,
        over=samples > max_samples,
    )  # fmt: skip


def _selector(reader: SampleReader, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SelectorCost:
    series = reader.series(matchers, start_ms, end_ms)
    text = ",".join(f'{one.name}{one.op}"{one.value}"' for one in matchers)
    span = max(end_ms - start_ms, 0)
    samples = round(len(series) * span / _distance(reader, series, start_ms, end_ms)) if series else 0
    return SelectorCost(
        selector="{" + text + "}",
        series=len(series),
        start_ms=start_ms,
        end_ms=end_ms,
        samples=max(samples, len(series)),
    )


def _distance(reader: SampleReader, series: Sequence[Labels], start_ms: int, end_ms: int) -> float:
    """Milliseconds between two samples, by the densest of some series."""
    low, most = max(start_ms, end_ms - LOOKED_MS), 0
    for one in {series[0], series[len(series) // 2], series[-1]}:
        exactly = [Matcher(name, MatchOp.EQUAL, value) for name, value in one]
        held = reader.select(exactly, low, end_ms)
        most = max([most, *(int(row.sum()) for matrix in held for row in matrix.present)])
    return (end_ms - low) / most if most else USUAL_MS
