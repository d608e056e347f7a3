"""Real peers beside ours: Prometheus and VictoriaMetrics on loopback, fed by remote write, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks._figures import TICKS
from watchkeeper.model import Labels
from watchkeeper.model.series import FloatArray, IntArray

#: Bytes of one request of remote write, before compression.
REQUEST_BYTES = 4 << 20
#: One sample as protobuf: field 2 of a time series, its value, its milliseconds in six bytes of seven bits.
SAMPLE = np.dtype([("head", "S3"), ("value", "<f8"), ("mid", "u1"), ("time", "6u1")])
#: The two peers by what they are called.
KINDS = ("Prometheus", "VictoriaMetrics")


@dataclass(slots=True)
class Peer:
    """A server that this process started; end it with ``stop``."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    write_path: str
    query_extra: dict[str, str] = field(default_factory=dict)

    def cpu(self) -> float:
        """Seconds of user and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def write(self, series: Iterable[tuple[Labels, IntArray, FloatArray]]) -> None:
        """Send samples, series by series; of one series in time order."""
        for body in _requests(series):
            self._post(body)

    def _post(self, body: bytes) -> None:
        packed = pa.compress(body, codec="snappy", asbytes=True)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
        request = urllib.request.Request(self.url + self.write_path, packed, headers)
        try:
            urllib.request.urlopen(request, timeout=120).close()
        except urllib.error.HTTPError as error:
            sys.exit(f"{self.name} refused samples: {error.read().decode(errors='replace')[:300]}")

    def ask(self, path: str, **parameters: str) -> list[Any]:
        """``data.result`` of /api/v1/``path``."""
        query = urllib.parse.urlencode(parameters | self.query_extra)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=300) as response:
            found: list[Any] = json.loads(response.read())["data"]["result"]
        return found

    def drain(self, path: str, **parameters: str) -> int:
        """Ask and read the answer without looking at it; its bytes."""
        query = urllib.parse.urlencode(parameters | self.query_extra)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=300) as response:
            return len(response.read())

    def settle(self, seconds: float = 120) -> None:
        """Until the server has done what writing left it to do: three quiet seconds in a row."""
        deadline, quiet = time.monotonic() + seconds, 0
        while quiet < 3 and time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(1)
            quiet = quiet + 1 if self.cpu() - before < 0.05 else 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@contextlib.contextmanager
def peers(
    folder: Path, *, prometheus: Sequence[str] = (), rules: Path | None = None, only: str = ""
) -> Iterator[list[Peer]]:
    """Those of the two that are installed, up and ready."""
    running: list[Peer] = []
    try:
        for start in (_prometheus, _victoria):
            peer = start(folder, prometheus, rules)
            if peer is not None and only in ("", peer.name):
                running.append(peer)
                _wait(peer)
            elif peer is not None:
                peer.stop()
        yield running
    finally:
        for peer in running:
            peer.stop()


def _prometheus(folder: Path, more: Sequence[str], rules: Path | None) -> Peer | None:
    binary = shutil.which("prometheus")
    if binary is None:
        return None
    port, config = free_port(), folder / "prometheus.yml"
    files = [str(rules)] if rules else []
    config.write_text(json.dumps({"global": {"evaluation_interval": "15s"}, "rule_files": files}))
    argv = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", *more]
    return Peer("Prometheus", f"http://127.0.0.1:{port}", _start(argv, folder / "prometheus.log"), "/api/v1/write")


def _victoria(folder: Path, _more: Sequence[str], _rules: Path | None) -> Peer | None:
    binary = shutil.which("victoria-metrics")
    if binary is None:
        return None
    port = free_port()
    argv = [binary, f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr=127.0.0.1:{port}"]
    argv += ["-retentionPeriod=1y", "-search.maxUniqueTimeseries=5000000", "-search.latencyOffset=0s"]
    process = _start(argv, folder / "victoria.log")
    return Peer("VictoriaMetrics", f"http://127.0.0.1:{port}", process, "/api/v1/write", {"nocache": "1"})


def _start(argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(argv, stdout=out, stderr=out)


def _wait(peer: Peer) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(peer.url + "/-/healthy", timeout=5).close()
            return
        if time.monotonic() > deadline or peer.process.poll() is not None:
            sys.exit(f"{peer.name} does not answer; see its log")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- remote write ----------------------------------------------------------------------------------------------------


def _requests(series: Iterable[tuple[Labels, IntArray, FloatArray]]) -> Iterator[bytes]:
    """WriteRequest messages, written by hand: no generated code for one message of two levels."""
    parts: list[bytes] = []
    size = 0
    for labels, times, values in series:
        body = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels)
        body += _samples(times, values)
        parts.append(_field(1, body))
        size += len(body)
        if size > REQUEST_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _samples(times: IntArray, values: FloatArray) -> bytes:
    made = np.zeros(len(times), SAMPLE)
    made["head"], made["mid"], made["value"] = b"\x12\x10\x09", 0x10, values
    shifts = np.arange(0, 42, 7)
    digits = (times[:, None] >> shifts) & 0x7F
    digits[:, :5] |= 0x80
    assert np.isin(times >> 35, range(1, 128)).all(), "six bytes are for the years 1971 to 2109"
    made["time"] = digits
    return made.tobytes()


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


assert SAMPLE.itemsize == 3 + struct.calcsize("<d") + 1 + 6
