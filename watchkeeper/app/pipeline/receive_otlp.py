"""Receive OTLP: metrics that others export to us, from bytes to the store, every sample of them in the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from threading import BoundedSemaphore

import numpy as np

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.receive import MOST_ABOUT, Inlet
from watchkeeper.app.samples import Samples
from watchkeeper.clock import Clock
from watchkeeper.errors import StoreFullError
from watchkeeper.ports import Appended
from watchkeeper.telemetry import Telemetry
from watchkeeper.wire import gzip
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.otlp import Decoded, decode
from watchkeeper.wire.otlp_json import JSON, to_protobuf
from watchkeeper.wire.otlp_labels import Translation

#: Name of the one source that stands for all exporters.
SOURCE = "otlp"
#: Bytes a request may unpack to.
MOST_BYTES = 16 << 20
#: Requests unfolded at once: each may take some hundred MB for a moment.
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request."""

    refused: int  #: points, as the sender counts them
    words: str  #: why; empty when none was refused


class ReceivingOtlp:
    """Safe to call from many threads."""

    def __init__(self, store: Samples, telemetry: Telemetry, clock: Clock, settings: Translation) -> None:
        self._store, self._telemetry, self._clock, self._settings = store, telemetry, clock, settings
        self._turns = BoundedSemaphore(AT_ONCE)
        self.inlet = Inlet()
        self.source = Source(SOURCE, SOURCE, timedelta(0), self.inlet, {}, target="/v1/metrics")

    def write(self, body: bytes, *, kind: str, gzipped: bool) -> Taken:
        """Take one request in; durable on return. Raises WireError, StoreError."""
        with self._turns:
            try:
                found = self._decode(body, kind=kind, gzipped=gzipped)
            except WireError as error:
                self._telemetry.otlp_requests.labels(error.reason).inc()
                raise
            line = self._push(found)
        if line.stored:
            self._store.sync()
        self._note(found, line)
        return _taken(found, line)

    def _decode(self, body: bytes, *, kind: str, gzipped: bool) -> Decoded:
        body = gzip.content(body, MOST_BYTES, gzipped=gzipped)
        return decode(to_protobuf(body) if kind == JSON else body, self._settings)

    def _push(self, found: Decoded) -> Appended:
        """Into the store; points refused before are in the same line of the ledger."""
        in_flight = self._telemetry.in_flight
        in_flight.inc(len(found.codes))
        try:
            while True:
                line = self._numbered(found)
                if line is not None:
                    return line
        except StoreFullError:
            self._telemetry.otlp_requests.labels("disk_full").inc()
            raise
        finally:
            in_flight.dec(len(found.codes))

    def _numbered(self, found: Decoded) -> Appended | None:
        """None when the ids of series have changed meanwhile."""
        generation, sids, why = self._store.number(found.series)
        refused, mine = Counter(found.refused), sids[found.codes]
        for place, reason in why.items():
            refused[reason] += int(np.count_nonzero(found.codes == place))
        kept = mine >= 0
        return self._store.push_numbered(generation, mine[kept], found.times[kept], found.values[kept], +refused)

    def _note(self, found: Decoded, line: Appended) -> None:
        self._telemetry.count_append(SOURCE, line)
        self._telemetry.otlp_requests.labels("ok").inc()
        for about in found.about:
            if len(self.inlet.metadata) < MOST_ABOUT or about.family in self.inlet.metadata:
                self.inlet.metadata[about.family] = about
        source = self.source
        source.state, source.error, source.last_at = "up", "", self._clock.now()
        source.received, source.stored = source.received + line.received, source.stored + line.stored
        source.samples, source.series = line.received, len(found.series)
        for reason, count in line.rejected.items():
            source.rejected[reason] = source.rejected.get(reason, 0) + count


def _taken(found: Decoded, line: Appended) -> Taken:
    """A point may be many samples, of which the store refuses some: never more are refused than were sent."""
    told = [f"{count} {reason}: {found.reasons[reason]}" for reason, count in sorted(found.refused.items())]
    mine = {reason: count for reason, count in line.rejected.items() if reason not in found.refused}
    told += [f"{count} samples {reason}" for reason, count in sorted(mine.items())]
    refused = min(found.points, found.refused.total() + sum(mine.values()))
    return Taken(refused, "; ".join(told)[:2000])
