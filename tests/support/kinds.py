"""Whether a service kind keeps its word: every metric that it lists is there with a sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from watchkeeper.app.catalogue.kinds import shipped
from watchkeeper.model import Tick, is_stale, label, metric_name


def unseen(kind: str, ticks: Iterable[Tick]) -> set[str]:
    """Metrics of the kind of which ``ticks`` hold no sample."""
    seen = {
        metric_name(series)
        for tick in ticks
        for series, gone in zip(tick.layout.series, is_stale(tick.values), strict=True)
        if not gone
    }
    return {metric.name for metric in shipped()[kind].metrics} - seen


def values(ticks: Sequence[Tick], *own: str) -> dict[tuple[str, ...], float]:
    """(metric, its values of the labels ``own``) -> value, of the one tick of a collection."""
    (tick,) = ticks
    rows = zip(tick.layout.series, tick.values.tolist(), is_stale(tick.values), strict=True)
    return {(metric_name(s), *(label(s, name) for name in own)): value for s, value, gone in rows if not gone}
