"""Whether a service kind keeps its word: every metric that it lists is there with a sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from support.targets import TRUST

from collectors import BUILTIN
from watchkeeper.app.catalogue import read
from watchkeeper.app.catalogue.kinds import shipped
from watchkeeper.app.sources import build_source
from watchkeeper.model import Tick, is_stale, label, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry


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


async def of_service(folder: Path, kind: str, address: str, **options: str) -> list[Tick]:
    """What all collectors of one service of the kind bring, with nothing refused."""
    service = {"name": "it", "kind": kind, "addresses": [address], "options": options}
    (folder / "watchkeeper.yaml").write_text(json.dumps({"catalogue": {"services": [service]}}))
    loaded, outbound = read(folder / "watchkeeper.yaml"), Outbound(allow_private=True, verify=TRUST)
    ticks: list[Tick] = []
    for row in loaded.config.collect.sources:
        collector = build_source(row, loaded.config, Registry("collectors", BUILTIN)).collector
        found = await collector.collect(datetime(2026, 11, 22, 12, tzinfo=UTC), outbound)
        assert found.rejected == {}
        assert {label(series, "service") for tick in found.ticks for series in tick.layout.series} == {"it"}
        ticks += found.ticks
        await collector.close()
    await outbound.aclose()
    return ticks
