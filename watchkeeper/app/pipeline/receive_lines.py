"""Receive lines of agents: each once, in order, masked and durable before the answer.

Lines of an agent's queue are numbered. How far a queue has come is kept as one fact with its lines, like the position
of a collector: what is sent again after a cut or a crash, on either side, is known and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.lines import Lines
from watchkeeper.app.pipeline.receive import Inlet
from watchkeeper.clock import Clock
from watchkeeper.errors import StoreError
from watchkeeper.model import SEVERITIES, LogBatch, labels
from watchkeeper.telemetry import Telemetry, logger
from watchkeeper.wire import gzip
from watchkeeper.wire.errors import WireError

log = logger(__name__)

#: Bytes a request may unpack to, and lines and label sets in it.
MOST_BYTES, MOST_LINES, MOST_STREAMS = 32 << 20, 200_000, 2000

Word = Annotated[str, Field(min_length=1, max_length=200)]
#: (place of its labels, ms since the epoch, code of its severity, text)
Row = tuple[
    Annotated[int, Field(ge=0)],
    Annotated[int, Field(ge=0, lt=1 << 53)],
    Annotated[int, Field(ge=0, lt=len(SEVERITIES))],
    str,
]


class Shipment(BaseModel):
    """Lines of one agent, the first of them with the number ``first``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: str = Field(pattern=r"^[0-9a-f]{16}$")
    first: int = Field(ge=0, lt=1 << 53)
    labels: list[dict[Word, Annotated[str, Field(max_length=4096)]]] = Field(max_length=MOST_STREAMS)
    rows: list[Row] = Field(max_length=MOST_LINES)

    def checked(self) -> Shipment:
        """Raises WireError."""
        if any(row[0] >= len(self.labels) for row in self.rows):
            raise WireError("a line names labels that do not come with it")
        return self


class ReceivingLines:
    """Safe to call from many threads: lines are kept one request at a time."""

    def __init__(self, lines: Lines, telemetry: Telemetry, clock: Clock) -> None:
        self._lines, self._telemetry, self._clock = lines, telemetry, clock
        self.sources: dict[str, Source] = {}  #: by agent

    def write(self, agent: str, body: bytes, *, gzipped: bool) -> int:
        """Take a request in; the number of the next line wanted. Durable on return. Raises WireError, StoreError."""
        shipment = _read(gzip.unpack(body, MOST_BYTES) if gzipped else body)
        return self._lines.executor.submit(self._keep, agent, shipment).result()

    def _keep(self, agent: str, shipment: Shipment) -> int:
        """In the thread that keeps lines: nobody else moves positions."""
        name = f"agent/{agent}"
        known = self._lines.store.positions().get(name, {})
        reached = int(known["next"]) if known.get("queue") == shipment.queue else 0
        after = shipment.first + len(shipment.rows)
        if after <= reached or not shipment.rows:
            return reached
        missing = shipment.first - reached
        if missing > 0 and known.get("queue") == shipment.queue:
            log.warning("lines of an agent are missing: its queue was full or damaged", agent=agent, lines=missing)
        batches = _batches(shipment, max(reached - shipment.first, 0), agent)
        if not self._lines.put(name, batches, {"queue": shipment.queue, "next": after}):
            raise StoreError("no log line can be kept now; the engine's log says why")
        self._note(name, agent, sum(map(len, batches)))
        return after

    def _note(self, name: str, agent: str, count: int) -> None:
        source = self.sources.setdefault(
            agent, Source(name, "agent_lines", timedelta(0), Inlet(), {}, target=f"/api/wk/agents/{agent}/lines")
        )
        source.state, source.error, source.last_at = "up", "", self._clock.now()
        source.samples = count


def _read(body: bytes) -> Shipment:
    try:
        return Shipment.model_validate_json(body).checked()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise WireError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def _batches(shipment: Shipment, known: int, agent: str) -> list[LogBatch]:
    """Runs of lines with the same labels, in order, without the first ``known`` lines."""
    found = []
    for place, run in groupby(shipment.rows[known:], key=lambda row: row[0]):
        rows: list[Any] = list(run)
        own: Mapping[str, str] = {**shipment.labels[place], "agent": agent}
        found.append(
            LogBatch.of(labels(None, own), [row[3] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
        )
    return found
