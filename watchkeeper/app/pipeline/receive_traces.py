"""Receive OTLP's traces: which service calls which, how often, how long and how often it fails. Spans are not kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.pipeline.receive import Inlet
from watchkeeper.clock import Clock
from watchkeeper.model import Tick, labels
from watchkeeper.telemetry import Telemetry
from watchkeeper.wire import gzip
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.otlp_traces import Span, decode_spans

#: Name of the one source that stands for all exporters of traces.
SOURCE = "otlp_traces"
#: Bytes a request may unpack to.
MOST_BYTES = 16 << 20
#: How long one half of a call waits for the other, and how many wait at most.
WAITS, MOST_WAITING = timedelta(minutes=2), 100_000
#: Pairs of services that are counted at most, and how long one without a call is.
MOST_PAIRS, FORGOTTEN = 5_000, timedelta(hours=24)
#: As the OpenTelemetry Collector's connector ``servicegraph`` and Grafana Tempo name them.
CALLS, FAILURES = "traces_service_graph_request_total", "traces_service_graph_request_failed_total"
SECONDS = "traces_service_graph_request_server_seconds"

Pair = tuple[str, str]


@dataclass(slots=True)
class Calls:
    count: int = 0
    failed: int = 0
    seconds: float = 0.0
    last_at: datetime | None = None


@dataclass(slots=True, eq=False)
class Pairing:
    """Puts together the two halves of each call, in whatever order they come."""

    named: Callable[[], Mapping[str, str]]  #: address -> service, of what has no spans of its own
    pairs: dict[Pair, Calls] = field(default_factory=dict)
    refused: int = 0
    _callers: OrderedDict[bytes, tuple[Span, datetime]] = field(default_factory=OrderedDict)
    _called: OrderedDict[bytes, tuple[Span, datetime]] = field(default_factory=OrderedDict)

    def take(self, spans: list[Span], now: datetime) -> None:
        names = self.named()
        for one in spans:
            if one.side == "called":
                self._take_called(one, now)
            else:
                self._take_caller(one, names, now)
        for waiting in (self._callers, self._called):
            while waiting and (len(waiting) > MOST_WAITING or now - next(iter(waiting.values()))[1] > WAITS):
                waiting.popitem(last=False)
        self.pairs = {pair: one for pair, one in self.pairs.items() if one.last_at and now - one.last_at <= FORGOTTEN}

    def _take_called(self, one: Span, now: datetime) -> None:
        if not one.parent:
            return
        other = self._callers.pop(one.parent, None)
        if other is None:
            self._called[one.parent] = (one, now)
        else:
            self._count(other[0].service, one.service, one, now)

    def _take_caller(self, one: Span, names: Mapping[str, str], now: datetime) -> None:
        other = self._called.pop(one.mine, None)
        if other is not None:
            self._count(one.service, other[0].service, other[0], now)
        elif peer := one.peer or names.get(one.address, ""):
            self._count(one.service, peer, one, now)
        else:
            self._callers[one.mine] = (one, now)

    def _count(self, caller: str, called: str, span: Span, now: datetime) -> None:
        if caller == called:
            return
        if (caller, called) not in self.pairs and len(self.pairs) >= MOST_PAIRS:
            self.refused += 1
            return
        found = self.pairs.setdefault((caller, called), Calls())
        found.count, found.failed = found.count + 1, found.failed + span.failed
        found.seconds, found.last_at = found.seconds + span.seconds, now

    def rows(self) -> list[Row]:
        found = list[Row]()
        for (caller, called), one in sorted(self.pairs.items()):
            own = {"client": caller, "server": called, "service": called}
            found += [
                (labels(CALLS, own), float(one.count)),
                (labels(FAILURES, own), float(one.failed)),
                (labels(f"{SECONDS}_sum", own), one.seconds),
                (labels(f"{SECONDS}_count", own), float(one.count)),
            ]
        return found


class ReceivingTraces:
    """Safe to call from many threads."""

    def __init__(self, telemetry: Telemetry, clock: Clock, named: Callable[[], Mapping[str, str]]) -> None:
        self._telemetry, self._clock, self._lock = telemetry, clock, Lock()
        self.pairing, self._published = Pairing(named), Published("traces")
        self.source = Source(SOURCE, SOURCE, timedelta(0), Inlet(), {}, target="/v1/traces")

    def write(self, body: bytes, *, kind: str, gzipped: bool) -> None:
        """Take one request in. Raises WireError."""
        try:
            body = gzip.content(body, MOST_BYTES, gzipped=gzipped)
            spans = decode_spans(body, kind)
        except WireError as error:
            self._telemetry.otlp_requests.labels(error.reason).inc()
            raise
        now = self._clock.now()
        with self._lock:
            self.pairing.take(spans, now)
        self._telemetry.otlp_requests.labels("ok").inc()
        self.source.state, self.source.error, self.source.last_at = "up", "", now

    def edges(self) -> list[Pair]:
        """Who called whom in the last day."""
        with self._lock:
            return list(self.pairing.pairs)

    def tick(self, now: datetime) -> Tick | None:
        """What was counted so far; None where nothing ever was."""
        with self._lock:
            rows = self.pairing.rows()
        return self._published.tick(rows, now) if rows or len(self._published) else None
