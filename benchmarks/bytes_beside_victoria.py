"""Bytes a sample on disk, ours beside VictoriaMetrics's after flush and merge, the same samples in both.

    python -m benchmarks.bytes_beside_victoria [--seconds 3600] [--recording node.npz] [--series 2000]

Two sets: three real node_exporters read once a second for ``--seconds`` and replayed 15 s apart (kept in
``--recording``, and read from there when it exists), and a day of the synthetic mix of bytes_per_sample.py.
VictoriaMetrics's figure is its ``data`` folder with and without its ``indexdb``; ours always includes the names of the
series. The bar is 0.9 times VictoriaMetrics with its index.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks._figures import Figure, show
from benchmarks._node_recording import Recording, load, record, save
from benchmarks._peers import Peer, peers
from benchmarks.bytes_per_sample import mix
from watchkeeper.clock import ManualClock, from_ms
from watchkeeper.model import Labels, Layout, Tick, labels
from watchkeeper.model.series import FloatArray, IntArray, is_stale
from watchkeeper.store.samples import EmbeddedStore

#: Rows of the synthetic day.
ROWS = 5760
#: Interval of the replay.
STEP_MS = 15_000
BAR = 0.9


def replayed(recordings: Sequence[Recording], start_ms: int) -> list[Recording]:
    """Row by row 15 s apart; the jitter of the reading stays."""
    found = []
    for one in recordings:
        rows = np.arange(len(one.times))
        jitter = (one.times - one.times[0] - rows * 1000) % 1000
        found.append(Recording(start_ms + rows * STEP_MS + jitter, one.series, one.values))
    return found


def synthetic(series: int, start_ms: int) -> list[Recording]:
    random, each, targets = np.random.default_rng(1), series // 5, []
    for number in range(5):
        names = tuple(
            labels(f"metric_{place % 200}_total", job="node", instance=f"host{number}:9100", cpu=str(place // 200))
            for place in range(each)
        )
        times = start_ms + np.arange(ROWS) * STEP_MS + random.integers(0, 150, ROWS)
        targets.append(Recording(times, names, np.ascontiguousarray(mix(random, each, ROWS).T)))
    return targets


def ours(data: Sequence[Recording], folder: Path) -> float:
    """Bytes of all block files once everything is in blocks."""
    clock = ManualClock(from_ms(int(data[0].times[0])))
    store = EmbeddedStore(folder, clock=clock)
    layouts = [Layout(one.series) for one in data]
    for row in range(len(data[0].times)):
        clock.advance(timedelta(milliseconds=STEP_MS))
        for place, one in enumerate(data):
            at = int(one.times[row])
            store.append(Tick(target=f"t{place}", time_ms=at, layout=layouts[place], values=one.values[row]))
        if row % 40 == 39:
            store.maintain(clock.now())
    clock.advance(timedelta(hours=4))
    store.maintain(clock.now())
    figures = store.stats()
    found = sum(int(matrix.present.sum()) for matrix in store.select([], 0, 1 << 60))
    store.close()
    assert found == sum(int((~is_stale(one.values)).sum()) for one in data), "samples are missing"
    return float(figures["block_bytes"])


def theirs(data: Sequence[Recording], peer: Peer, folder: Path) -> tuple[float, float, float]:
    """(bytes with the index, bytes without, parts of the data) after everything was flushed and merged."""
    for one in data:
        peer.write(_series(one))
    for path in ("force_flush", "force_merge"):
        urllib.request.urlopen(f"{peer.url}/internal/{path}", timeout=300).close()
        peer.settle()
    steady, last = 0, -1.0
    while steady < 15:  # merged parts are removed a while after
        time.sleep(1)
        size = _size(folder / "data")
        steady, last = (steady + 1 if size == last else 0), size
    return last + _size(folder / "indexdb"), last, _parts(peer)


def _parts(peer: Peer) -> float:
    """One, two or so: everything is merged."""
    with urllib.request.urlopen(f"{peer.url}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith('vm_parts{type="storage'))


def _series(one: Recording) -> Iterator[tuple[Labels, IntArray, FloatArray]]:
    present = ~is_stale(one.values)
    for place, names in enumerate(one.series):
        there = present[:, place]
        yield names, one.times[there], one.values[there, place]


def _size(folder: Path) -> float:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # merged away meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return float(total)


def compare(name: str, data: Sequence[Recording]) -> list[Figure]:
    samples = sum(int((~is_stale(one.values)).sum()) for one in data)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        mine = ours(data, folder / "ours") / samples
        with peers(folder, only="VictoriaMetrics") as running:
            if not running:
                sys.exit("there is no victoria-metrics here")
            whole, values, parts = theirs(data, running[0], folder / "victoria")
            whole, values = whole / samples, values / samples
    return [
        Figure(f"{name}: samples", samples / 1e6, "million"),
        Figure(f"{name}: series", float(sum(len(one.series) for one in data)), ""),
        Figure(f"{name}: ours", mine, "B/sample"),
        Figure(f"{name}: VictoriaMetrics with its index", whole, "B/sample"),
        Figure(f"{name}: VictoriaMetrics, data alone", values, "B/sample"),
        Figure(f"{name}: VictoriaMetrics, parts", parts, ""),
        Figure(f"{name}: ours / VictoriaMetrics", mine / whole, "", BAR),
        Figure(f"{name}: ours / VictoriaMetrics's data alone", mine / values, ""),
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--series", type=int, default=2000)
    asked = parser.parse_args()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start_ms = round((now - timedelta(days=2)).timestamp() * 1000) // 7_200_000 * 7_200_000
    if asked.recording is not None and asked.recording.exists():
        recordings = load(asked.recording)
    else:
        recordings = record(asked.seconds)
        if asked.recording is not None:
            save(recordings, asked.recording)
    figures = compare("three node_exporters", replayed(recordings, start_ms))
    figures += compare("synthetic mix", synthetic(asked.series, start_ms))
    return show("Bytes a sample on disk", figures)


if __name__ == "__main__":
    sys.exit(main())
