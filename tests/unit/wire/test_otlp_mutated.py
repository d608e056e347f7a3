"""Broken OTLP bodies: none ends anything, each is taken or counted, the ledger balances, memory stays bounded."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from support.engines import NOON, engine
from support.otlp import SHOP, gauge, point, request, total

from watchkeeper.app.engine import Engine
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.otlp_json import JSON, PROTOBUF

NOW = int(NOON.timestamp()) * 1_000_000_000
#: Growth of the process over all bodies, in KiB.
MOST_GROWTH = 256 << 10
MANY = 100_000
#: What does harm where it is not expected.
WORDS = (
    b"\xff" * 10, b"\x80" * 9 + b"\x01", b"\x00" * 8, b'"NaN"', b"[" * 200, b'{"a":' * 50, b"1e999", b"\xed\xa0\x80",
)  # fmt: skip


def whole() -> bytes:
    histogram = {
        "timeUnixNano": str(NOW),
        "count": "6",
        "sum": 9.5,
        "bucketCounts": ["1", "5"],
        "explicitBounds": [1.0],
    }
    summary = {"timeUnixNano": str(NOW), "count": "2", "quantileValues": [{"quantile": 0.5, "value": 1.5}]}
    return request(
        gauge("temperature", point(1.5, at=NOW, attributes={"room": "a", "n": {"intValue": "7"}}), unit="Cel"),
        total("hits", point(None, at=NOW, asInt="42")),
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [histogram]}},
        {"name": "s", "summary": {"dataPoints": [summary]}},
        resource=SHOP,
        scope={"name": "lib", "version": "1"},
    )


def flipped(body: bytearray, dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 8))):
        body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
    return bytes(body)


def cut(body: bytearray, dice: random.Random) -> bytes:
    return bytes(body[: dice.randrange(len(body))])


def spliced(body: bytearray, dice: random.Random) -> bytes:
    start, size, place = dice.randrange(len(body)), dice.randrange(1, 40), dice.randrange(len(body))
    return bytes(body[:place] + body[start : start + size] * dice.choice((1, 3, 50)) + body[place:])


def overwritten(body: bytearray, dice: random.Random) -> bytes:
    place = dice.randrange(len(body))
    word = dice.choice(WORDS)
    return bytes(body[:place] + word + body[place + len(word) :])


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (flipped, cut, spliced, overwritten)


def bodies(seed: int, count: int) -> Iterator[tuple[bytes, str, bool]]:
    """(body, media type, gzip) each."""
    dice, raw = random.Random(seed), whole()
    text = json.dumps(json_format.MessageToDict(ExportMetricsServiceRequest.FromString(raw))).encode()
    for _ in range(count):
        kind, gzipped = dice.choice((PROTOBUF, PROTOBUF, JSON)), dice.random() < 0.2
        body = dice.choice(MUTATIONS)(bytearray(raw if kind == PROTOBUF else text), dice)
        if gzipped:
            body = gzip.compress(body, 1)
            body = dice.choice(MUTATIONS)(bytearray(body), dice) if dice.random() < 0.5 else body
        yield body, kind, gzipped


def outcomes(house: Engine) -> float:
    found = house.telemetry.otlp_requests.collect()
    return sum(sample.value for family in found for sample in family.samples if sample.name.endswith("_total"))


def tried(house: Engine, seed: int, count: int, deadline: float = float("inf")) -> tuple[int, int]:
    """(bodies sent, bodies refused whole)."""
    before, sent, refused = outcomes(house), 0, 0
    for body, kind, gzipped in bodies(seed, count):
        if time.monotonic() > deadline:
            break
        sent += 1
        try:
            taken = house.receiving_otlp.write(body, kind=kind, gzipped=gzipped)
        except WireError:
            refused += 1
        else:
            assert bool(taken.refused) <= bool(taken.words)
    assert outcomes(house) - before == sent, f"seed {seed}"
    told = house.telemetry.ledger()
    assert told["received"] == told["stored"] + told["deduplicated"] + sum(told["rejected"].values()), f"seed {seed}"
    assert told["in_flight"] == 0
    return sent, refused


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


def test_two_hundred_broken_bodies_break_nothing(house: Engine) -> None:
    sent, refused = tried(house, seed=1, count=200)
    assert sent == 200
    assert 40 < refused < 200  # some are read all the same, or are whole but for a value


@pytest.mark.long
def test_a_hundred_thousand_broken_bodies_break_nothing(house: Engine) -> None:
    seconds, seed = float(os.environ.get("LONG_SECONDS", "60")), int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    tried(house, seed=0, count=1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent, refused = tried(house, seed, MANY, time.monotonic() + seconds)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"seed {seed}: {sent} bodies, {refused} refused whole, grown by {grown} KiB")
    assert grown < MOST_GROWTH, f"seed {seed}"
