"""History of a Prometheus-compatible server, read through its query API and kept as if it had been collected here.

Samples are asked for as they are (``selector[window]``), not as a query would resample them. What one job and instance
said at one moment is one tick, in the order of time; where an import stopped it goes on, and nothing is kept twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from watchkeeper.app.paths import write_private
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import STALE_NAN, Labels, Layout, Tick, label
from watchkeeper.outbound import Outbound
from watchkeeper.ports import SampleStore

#: Largest answer of the server; a window with more is halved.
MAX_BYTES = 256 << 20
#: Windows are not halved below this.
LEAST_MS = 60_000
#: Error types and statuses that a smaller window may mend.
TOO_MUCH = ("execution", "timeout")

Samples = dict[Labels, tuple[list[int], list[float]]]


class ImportStoppedError(WatchkeeperError):
    """The server refused, did not answer, or said what nobody can read. The import can be started again."""


@dataclass(slots=True)
class Progress:
    """What an import has done so far; kept beside the store."""

    until_ms: int
    ticks: int = 0
    received: int = 0
    stored: int = 0
    deduplicated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be imported, and from where."""

    url: str
    matches: Sequence[str]
    start_ms: int  #: exclusive
    end_ms: int  #: inclusive
    window_ms: int = 1_800_000
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0

    @property
    def key(self) -> str:
        """One import and its continuation have the same key; another selection has another."""
        return hashlib.blake2b(json.dumps([self.url, *sorted(self.matches)]).encode(), digest_size=6).hexdigest()


class Import:
    """Window by window; after each one it is on the disk and so is the place to go on from."""

    def __init__(self, wanted: Wanted, store: SampleStore, folder: Path, outbound: Outbound) -> None:
        self._wanted, self._store, self._outbound = wanted, store, outbound
        self._note = folder / f"{wanted.key}-{wanted.start_ms}.json"
        self._layouts: dict[str, Layout] = {}
        self.progress = self._resumed()

    def _resumed(self) -> Progress:
        try:
            kept = json.loads(self._note.read_text(encoding="utf-8"))
            return Progress(**{**kept, "rejected": Counter(kept["rejected"])})
        except FileNotFoundError:
            return Progress(self._wanted.start_ms)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ImportStoppedError(f"{self._note} cannot be read: {error}; remove it to start anew") from None

    async def run(self, tell: Callable[[Progress], None]) -> Progress:
        """Everything up to the end. Raises ImportStoppedError, OutboundError and StoreError."""
        width = self._wanted.window_ms
        while self.progress.until_ms < self._wanted.end_ms:
            end = min(self.progress.until_ms + width, self._wanted.end_ms)
            samples = await self._read(self.progress.until_ms, end)
            if samples is None:
                width = max(width // 2, LEAST_MS)
                continue
            for tick in self._ticks(samples):
                self._keep(tick)
            self._store.sync()
            self.progress.until_ms = end
            self._save()
            tell(self.progress)
        return self.progress

    def _keep(self, tick: Tick) -> None:
        line, progress = self._store.append(tick), self.progress
        progress.ticks += 1
        progress.received += line.received
        progress.stored += line.stored
        progress.deduplicated += line.deduplicated
        progress.rejected.update(line.rejected)

    def _save(self) -> None:
        self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {name: getattr(self.progress, name) for name in Progress.__slots__}
        write_private(self._note, json.dumps(kept))

    # --- asking ---

    async def _read(self, start_ms: int, end_ms: int) -> Samples | None:
        """The samples with start < t <= end; None when a smaller window should be asked for."""
        samples: Samples = {}
        for match in self._wanted.matches:
            rows = await self._ask(match, start_ms, end_ms)
            if rows is None:
                if end_ms - start_ms <= LEAST_MS:
                    raise ImportStoppedError(f"{match}: the server cannot answer for one minute; select less")
                return None
            for row in rows:
                times, values = [], []
                for at, value in row["values"]:
                    time_ms = round(float(at) * 1000)
                    if start_ms < time_ms <= end_ms:
                        times.append(time_ms)
                        values.append(float(value))
                if times:
                    samples[tuple(sorted(row["metric"].items()))] = (times, values)
        return samples

    async def _ask(self, match: str, start_ms: int, end_ms: int) -> list[Any] | None:
        width = end_ms - start_ms
        query = {"query": f"{match}[{width}ms]", "time": f"{end_ms / 1000:.3f}"}
        answer = await self._outbound.request(
            "GET",
            f"{self._wanted.url.rstrip('/')}/api/v1/query?{urlencode(query)}",
            headers=dict(self._wanted.headers),
            timeout=self._wanted.timeout,
            max_bytes=MAX_BYTES,
        )
        try:
            body = json.loads(answer.body)
            if body["status"] == "success":
                found: list[Any] = body["data"]["result"]
                return found
            kind, text = body["errorType"], body["error"]
        except (ValueError, KeyError, TypeError):
            raise ImportStoppedError(f"{self._wanted.url}: HTTP {answer.status} without a Prometheus answer") from None
        if kind in TOO_MUCH:
            return None
        raise ImportStoppedError(f"{self._wanted.url}: {match}: {text}")

    # --- shaping ---

    def _ticks(self, samples: Samples) -> Iterator[Tick]:
        """Ticks of every job and instance, each in the order of time."""
        groups: dict[str, list[Labels]] = {}
        for series in sorted(samples):
            name = f"import/{self._wanted.key}/{label(series, 'job')}/{label(series, 'instance')}"
            groups.setdefault(name, []).append(series)
        for target, members in groups.items():
            layout = self._layout(target, members)
            times = np.unique(np.concatenate([np.array(samples[series][0], dtype=np.int64) for series in members]))
            values = np.full((len(times), len(layout)), STALE_NAN)
            places = {series: place for place, series in enumerate(layout.series)}
            for series in members:
                at, said = samples[series]
                values[np.searchsorted(times, at), places[series]] = said
            for row, at_ms in enumerate(times.tolist()):
                yield Tick(target=target, time_ms=at_ms, layout=layout, values=values[row])

    def _layout(self, target: str, members: Sequence[Labels]) -> Layout:
        """The last window's columns while they fit: the store pays for each new list."""
        known = self._layouts.get(target)
        if known is None or known.series != tuple(members):
            known = self._layouts[target] = Layout(tuple(members))
        return known
