"""Very many faultless hours: one database a seed, one seed a processor at a time."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from support.hours import Hours

#: Hours of one seed; a new seed begins with an empty database.
CHUNK = 250.0


@dataclass(frozen=True)
class Chunk:
    """What became of one seed."""

    seed: int
    hours: float
    seconds: float  #: of the processor
    executed: int  #: effects, each of them wrong
    last: str  #: the newest record, where there was an effect
    broken_audit: int | None
    events: Counter[str]


def chunk(folder: Path, seed: int, wanted: float, deadline: float) -> Chunk:
    """``wanted`` hours of a seed, fewer when ``deadline`` (``time.monotonic``) comes first."""
    folder.mkdir()
    began = time.process_time()
    with closing(Hours(folder, seed)) as hours:
        done = hours.run(wanted, enough=lambda: time.monotonic() > deadline)
        executed, records, events = hours.pool.executed(), hours.records(), hours.events
        events["proposals refused"] += sum(record.state == "suppressed" for record in records)
        with hours.state.read() as unit:
            broken = unit.audit.verify()
    last = str(records[-1]) if executed else ""
    return Chunk(seed, done, time.process_time() - began, executed, last, broken, events)


def chunks(folder: Path, first: int, wanted: float, deadline: float) -> Iterator[Chunk]:
    """Seeds from ``first`` on until ``wanted`` hours are done, as they come."""
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        seed, left = first, wanted
        running: set[Future[Chunk]] = set()
        while running or left > 0:
            while left > 0 and len(running) < workers and time.monotonic() < deadline:
                running.add(pool.submit(chunk, folder / str(seed), seed, min(CHUNK, left), deadline))
                seed, left = seed + 1, left - CHUNK
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in finished)
