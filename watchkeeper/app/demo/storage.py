"""The store of receipts: a folder of limited size that stands for a disk. It never grows beyond that size."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from watchkeeper.app.demo.faults import Faults
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.service import Service, fields, log_to

#: Bytes of the "disk", of a second's receipts, and of a second of the fault.
SIZE, USUAL, FILL = 64 << 20, 4 << 10, 256 << 10
#: Receipts kept; older ones are archived, so that usual business never fills the disk.
KEPT = 600


class Storage:
    def __init__(self, place: Place) -> None:
        self.folder, self.faults = place.volume, Faults(place.faults)
        self.log = log_to(place.logs / "storage.json.log", "storage")
        self.service = Service("storage")
        self.service.registry.register(self)
        self.number = 0
        self.full = False

    def used(self) -> int:
        return sum(file.stat().st_size for file in self.folder.iterdir())

    def step(self) -> None:
        """One second of business; while the fault is on a dump grows, when it is over it is deleted."""
        dump = self.folder / "core.dump"
        if self.faults.on("disk-fill"):
            self._write(dump, FILL)
        else:
            dump.unlink(missing_ok=True)
        self.number += 1
        self._write(self.folder / f"receipt-{self.number:08d}", USUAL)
        (self.folder / f"receipt-{self.number - KEPT:08d}").unlink(missing_ok=True)

    def _write(self, file: Path, size: int) -> None:
        room = SIZE - self.used()
        if room < size and not self.full:
            self.log.error("no space left on device", extra=fields(file=file.name))
        self.full = room < size
        if not self.full:
            with file.open("ab") as out:
                out.write(b"\0" * size)

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("storage_volume_used_bytes", "Bytes in use.", value=float(self.used()))
        yield GaugeMetricFamily("storage_volume_size_bytes", "Bytes there are.", value=float(SIZE))


def main(root: str, port: str) -> None:
    storage = Storage(Place(Path(root)))

    def forever() -> None:
        while True:
            storage.step()
            time.sleep(1.0)

    threading.Thread(target=forever, daemon=True).start()
    storage.service.run(int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
