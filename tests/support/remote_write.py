"""Requests of remote write as senders make them, and an engine that takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from starlette.testclient import TestClient

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.model import Labels
from watchkeeper.wire import remote_write, snappy
from watchkeeper.wire.messages import build

V1 = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
V2 = {"content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "content-encoding": "snappy"}

#: (series, milliseconds since the epoch, value)
Sample = tuple[Labels, int, float]


def first(*samples: Sample, more: bytes = b"") -> bytes:
    """A packed request of version 1.0; ``more`` are further fields."""
    blocks = [remote_write.label_block(series) for series, _, _ in samples]
    times = np.array([at for _, at, _ in samples], dtype=np.int64)
    return snappy.compress(remote_write.encode(blocks, times, np.array([value for *_, value in samples])) + more)


def second(*samples: Sample, histograms: Sequence[bytes] = (), exemplars: Sequence[bytes] = ()) -> bytes:
    """A packed request of version 2.0."""
    symbols: dict[str, int] = {"": 0}
    rows = []
    for series, at, value in samples:
        refs = [symbols.setdefault(word, len(symbols)) for pair in series for word in pair]
        sample = build("Sample", timestamp=at, value=int(np.float64(value).view(np.uint64)))
        rows.append(build("Series2", refs=refs, samples=[sample], histograms=histograms, exemplars=exemplars))
    return snappy.compress(build("Write2", symbols=[word.encode() for word in symbols], timeseries=rows))


def sender(engine: Engine, role: Role = Role.WRITER) -> TestClient:
    """A client with a token of that role."""
    secret, _ = create_system_token(engine.state, f"sender-{role}", role, now=engine.clock.now(), lifetime=timedelta(1))
    client = TestClient(create(engine), raise_server_exceptions=False)
    client.headers["authorization"] = f"Bearer {secret}"
    return client


def written(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """What version 2.0's answers say was written: samples, histograms, exemplars."""
    kinds = ("samples", "histograms", "exemplars")
    return tuple(headers.get(f"x-prometheus-remote-write-{kind}-written", "?") for kind in kinds)  # type: ignore[return-value]
