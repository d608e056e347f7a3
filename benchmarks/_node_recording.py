"""What real node_exporters say, second by second, as matrices."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peers import free_port
from watchkeeper.model import STALE_NAN, Labels, labels
from watchkeeper.model.series import FloatArray, IntArray

#: Three exporters that show this machine differently.
KINDS = (
    (),
    ("--collector.processes", "--collector.tcpstat"),
    ("--collector.interrupts", "--collector.buddyinfo", "--no-collector.hwmon"),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One exporter: ``values[row, series]``, staleness bits where a series was not told."""

    times: IntArray
    series: tuple[Labels, ...]
    values: FloatArray


def record(seconds: float) -> list[Recording]:
    """Start the exporters and read each once a second."""
    binary = shutil.which("prometheus-node-exporter")
    if binary is None:
        sys.exit("there is no prometheus-node-exporter here")
    ports = [free_port() for _ in KINDS]
    running = [
        subprocess.Popen([binary, f"--web.listen-address=127.0.0.1:{port}", *words], stderr=subprocess.DEVNULL)
        for port, words in zip(ports, KINDS, strict=True)
    ]
    known: list[dict[str, int]] = [{} for _ in KINDS]
    rows: list[list[tuple[int, dict[int, float]]]] = [[] for _ in KINDS]
    try:
        time.sleep(2)
        end = time.monotonic() + seconds
        while (started := time.monotonic()) < end:
            for place, port in enumerate(ports):
                rows[place].append(_read(port, known[place]))
            time.sleep(max(0.0, 1 - (time.monotonic() - started)))
    finally:
        for process in running:
            process.terminate()
            process.wait(10)
    return [_matrix(place, known[place], rows[place]) for place in range(len(KINDS))]


def _read(port: int, known: dict[str, int]) -> tuple[int, dict[int, float]]:
    at = round(time.time() * 1000)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    told = {}
    for line in lines:
        if line and not line.startswith("#"):
            key, _, value = line.rpartition(" ")
            told[known.setdefault(key, len(known))] = float(value)
    return at, told


def _matrix(place: int, known: dict[str, int], rows: list[tuple[int, dict[int, float]]]) -> Recording:
    values = np.full((len(rows), len(known)), STALE_NAN)
    for row, (_, told) in enumerate(rows):
        values[row, list(told)] = list(told.values())
    series = tuple(series_of(key, f"host{place}:9100") for key in known)
    return Recording(np.array([at for at, _ in rows]), series, values)


def series_of(key: str, instance: str) -> Labels:
    """``name{a="b"}`` of a node_exporter as labels, with a target's own; nothing in its values is escaped."""
    name, _, rest = key.partition("{")
    pairs = dict(pair.split('="', 1) for pair in rest.removesuffix('"}').split('",') if pair)
    return labels(name, {**pairs, "instance": instance, "job": "node"})


def save(recordings: list[Recording], file: Path) -> None:
    arrays: dict[str, Any] = {}
    for place, one in enumerate(recordings):
        flat = ["\x1f".join(word for pair in series for word in pair) for series in one.series]
        arrays |= {f"t{place}": one.times, f"v{place}": one.values, f"k{place}": np.array(flat)}
    np.savez_compressed(file, **arrays)


def load(file: Path) -> list[Recording]:
    with np.load(file) as arrays:
        found = []
        for place in range(len(KINDS)):
            flat = [text.split("\x1f") for text in arrays[f"k{place}"].tolist()]
            series = tuple(tuple(zip(words[::2], words[1::2], strict=True)) for words in flat)
            found.append(Recording(arrays[f"t{place}"], series, arrays[f"v{place}"]))
    return found
