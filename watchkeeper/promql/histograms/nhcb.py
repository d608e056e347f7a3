"""Classic histograms turned into native ones with custom buckets, as ``load_with_nhcb`` does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from watchkeeper.model import METRIC_NAME, Labels, label, labels, metric_name
from watchkeeper.promql.histograms.model import CUSTOM, Histogram

SUFFIXES = ("_bucket", "_count", "_sum")


@dataclass(slots=True)
class _Classic:
    """What the classic series of one histogram say at one moment."""

    cumulative: dict[float, float] = field(default_factory=dict)
    count: float | None = None
    sum: float = 0.0


def converted(rows: Iterable[tuple[Labels, Mapping[int, float]]]) -> dict[Labels, dict[int, Histogram]]:
    """Series with samples by moment -> the native histograms that their classic buckets make, by moment."""
    found: dict[Labels, dict[int, _Classic]] = {}
    for series, samples in rows:
        suffix = next((one for one in SUFFIXES if metric_name(series).endswith(one)), None)
        edge = _edge(label(series, "le")) if suffix == "_bucket" else 0.0
        if suffix is None or edge is None:
            continue
        moments = found.setdefault(_whole(series, suffix), {})
        for moment, value in samples.items():
            _note(moments.setdefault(moment, _Classic()), suffix, edge, value)
    made = {series: _histograms(moments) for series, moments in found.items()}
    return {series: histograms for series, histograms in made.items() if histograms}


def _edge(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(series: Labels, suffix: str) -> Labels:
    pairs = {name: value for name, value in series if name not in ("le", METRIC_NAME)}
    return labels(metric_name(series).removesuffix(suffix), pairs)


def _note(classic: _Classic, suffix: str, edge: float, value: float) -> None:
    if suffix == "_bucket":
        classic.cumulative[edge] = value
    elif suffix == "_count":
        classic.count = value
    else:
        classic.sum = value


def _histograms(moments: Mapping[int, _Classic]) -> dict[int, Histogram]:
    made = {moment: _histogram(classic) for moment, classic in moments.items()}
    return {moment: histogram for moment, histogram in made.items() if histogram is not None}


def _histogram(classic: _Classic) -> Histogram | None:
    """None where buckets are missing or fall."""
    edges = sorted(classic.cumulative)
    if not edges:
        return None
    running = [classic.cumulative[edge] for edge in edges]
    count = running[-1] if classic.count is None else classic.count
    if edges[-1] != math.inf:
        running.append(count)
    counts = [running[0], *(now - before for before, now in pairwise(running))]
    if min(counts) < 0 or running[-1] != count:
        return None
    return Histogram(
        schema=CUSTOM,
        count=count,
        sum=classic.sum,
        positive={index: value for index, value in enumerate(counts) if value},
        custom=tuple(edge for edge in edges if edge != math.inf),
    )
