"""What this machine can do, so that other figures can be read in proportion. Takes under 10 seconds.

python -m benchmarks.calibrate [directory for the fsync test]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pcodec
from pcodec import standalone

COPY_BYTES = 64 << 20
#: Values of one chunk, as a block holds them: two hours at 15 seconds.
CHUNK = 480
CHUNKS = 2000
SYNCS = 200
SYNC_BYTES = 32 << 10


def readings(directory: Path | None = None) -> dict[str, float]:
    """Memory copy in GB/s, pcodec decode in million values/s on one thread, and fdatasync of 32 KiB in ms."""
    return {"copy_gb_per_second": copy_rate(), "pcodec_decode_m_per_second": decode_rate(), **sync_times(directory)}


def best(work: Callable[[], object], times: int) -> float:
    """Seconds of the fastest run: the one the rest of the machine disturbed least."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def copy_rate() -> float:
    source = np.ones(COPY_BYTES // 8)
    target = np.zeros_like(source)
    return COPY_BYTES / best(lambda: np.copyto(target, source), 10) / 1e9


def decode_rate() -> float:
    random = np.random.default_rng(1)
    config = pcodec.ChunkConfig(compression_level=4, delta_spec=pcodec.DeltaSpec.try_consecutive(1))
    chunks = [
        bytes(standalone.simple_compress(np.cumsum(random.integers(0, 1000, CHUNK)), config)) for _ in range(CHUNKS)
    ]
    out = np.empty(CHUNK, dtype=np.int64)

    def decode() -> None:
        for chunk in chunks:
            standalone.simple_decompress_into(chunk, out)

    return CHUNK * CHUNKS / best(decode, 5) / 1e6


def sync_times(directory: Path | None) -> dict[str, float]:
    """Median and 99th percentile, on the disk of ``directory`` (default: the temporary one)."""
    data = os.urandom(SYNC_BYTES)
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        deadline = time.perf_counter() + 5
        while len(taken) < SYNCS and time.perf_counter() < deadline:
            file.write(data)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - start) * 1000)
    p50, p99 = np.percentile(taken, [50, 99]).tolist()
    return {"fsync_p50_ms": p50, "fsync_p99_ms": p99}


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(json.dumps({name: round(value, 3) for name, value in readings(place).items()}, indent=2))
