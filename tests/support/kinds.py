"""Whether a service kind keeps its word: every metric that it lists is there with a sample."""

from __future__ import annotations

from collections.abc import Iterable

from watchkeeper.app.catalogue.kinds import shipped
from watchkeeper.model import Tick, is_stale, metric_name


def unseen(kind: str, ticks: Iterable[Tick]) -> set[str]:
    """Metrics of the kind of which ``ticks`` hold no sample."""
    seen = {
        metric_name(series)
        for tick in ticks
        for series, gone in zip(tick.layout.series, is_stale(tick.values), strict=True)
        if not gone
    }
    return {metric.name for metric in shipped()[kind].metrics} - seen
