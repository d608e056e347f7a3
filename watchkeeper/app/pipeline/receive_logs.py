"""Receive OTLP's logs: lines that others export to us, masked and durable before the answer."""

from __future__ import annotations

from datetime import timedelta

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.lines import Lines
from watchkeeper.app.pipeline.receive import Inlet
from watchkeeper.clock import Clock, to_ms
from watchkeeper.errors import StoreError
from watchkeeper.telemetry import Telemetry
from watchkeeper.wire import gzip
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.otlp_logs import decode_logs

#: Name of the one source that stands for all exporters of logs.
SOURCE = "otlp_logs"
#: Bytes a request may unpack to.
MOST_BYTES = 16 << 20


class ReceivingLogs:
    """Safe to call from many threads: lines are kept one request at a time."""

    def __init__(self, lines: Lines, telemetry: Telemetry, clock: Clock) -> None:
        self._lines, self._telemetry, self._clock = lines, telemetry, clock
        self.source = Source(SOURCE, SOURCE, timedelta(0), Inlet(), {}, target="/v1/logs")

    def write(self, body: bytes, *, kind: str, gzipped: bool) -> None:
        """Take one request in; durable on return. Raises WireError, StoreError."""
        try:
            body = gzip.content(body, MOST_BYTES, gzipped=gzipped)
            batches = decode_logs(body, kind, to_ms(self._clock.now()))
        except WireError as error:
            self._telemetry.otlp_requests.labels(error.reason).inc()
            raise
        kept = self._lines.executor.submit(self._lines.put, SOURCE, batches).result()
        self._telemetry.otlp_requests.labels("ok" if kept else "disk_full").inc()
        if not kept:
            raise StoreError("no log line can be kept now; the engine's log says why")
        self.source.state, self.source.error, self.source.last_at = "up", "", self._clock.now()
