"""The conservation law of appends: received = stored + deduplicated + sum of rejected."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from watchkeeper.ports import Appended

#: Every reason a sample may be refused for.
REASONS = (
    "out_of_order",
    "too_old",
    "future",
    "series_limit",
    "label_limit",
    "duplicate_series",
    "duplicate_timestamp",
)


@dataclass(slots=True)
class Ledger:
    """Totals since the store was opened, always of whole appends. Thread-safe."""

    received: int = 0
    stored: int = 0
    deduplicated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *lines: Appended) -> None:
        """Enter appends, all at once."""
        with self._lock:
            self.received += sum([line.received for line in lines])
            self.stored += sum([line.stored for line in lines])
            self.deduplicated += sum([line.deduplicated for line in lines])
            for line in lines:
                if line.rejected:
                    self.rejected.update(line.rejected)

    def totals(self) -> dict[str, int]:
        with self._lock:
            reasons = {f"rejected_{reason}": self.rejected[reason] for reason in REASONS}
            sums = {"received": self.received, "stored": self.stored, "deduplicated": self.deduplicated}
            return {**sums, "rejected": self.rejected.total(), **reasons}
