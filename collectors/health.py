"""What the engine itself knows of each collection, as Prometheus records it beside a target's own series."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from watchkeeper.model import Tick, is_stale
from watchkeeper.ports import Collected

from .base import Sheet


class Health:
    """``up``, duration and counts of one collector, in a tick of their own: ``<kind>/<name>#health``."""

    def __init__(self, kind: str, name: str, target_labels: Mapping[str, str]) -> None:
        self._sheet = Sheet(f"{kind}/{name}#health", target_labels)

    def tick(self, now: datetime, collected: Collected | None, *, seconds: float) -> Tick:
        """After a collection; ``collected`` is None when it failed. ``seconds`` is what it took."""
        done = collected or Collected()
        samples = sum(int(np.count_nonzero(~is_stale(tick.values))) for tick in done.ticks)
        return self._sheet.tick(
            now,
            [
                ("up", (), float(collected is not None)),
                ("scrape_duration_seconds", (), seconds),
                ("scrape_samples_scraped", (), float(samples + sum(done.rejected.values()))),
                ("scrape_samples_post_metric_relabeling", (), float(samples)),
                ("scrape_body_size_bytes", (), float(done.body_bytes)),
            ],
        )
