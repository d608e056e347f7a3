"""Remote write in, by the specification: every MUST of a receiver, and every sample in the ledger."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.engines import clock_of, engine
from support.remote_write import V1, V2, Sample, first, second, sender, written
from support.samples import EVER

from watchkeeper.access.roles import Role
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model import STALE_NAN, Labels, labels
from watchkeeper.wire import remote_write, snappy
from watchkeeper.wire.messages import build

UP = labels("up", job="node", instance="a:9100")
LOAD = labels("load", job="node", instance="a:9100")
PATH = "/api/v1/write"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def client(house: Engine) -> TestClient:
    return sender(house)


def now(house: Engine) -> int:
    return to_ms(house.clock.now())


def stored(house: Engine) -> dict[Labels, list[tuple[int, float]]]:
    """What was written, by series; times since the engine's noon."""
    found: dict[Labels, list[tuple[int, float]]] = {}
    for matrix in house.samples.select([], *EVER):
        for row, series in enumerate(matrix.series):
            there = matrix.present[row]
            pairs = zip(matrix.times[there].tolist(), matrix.values[row, there].tolist(), strict=True)
            found.setdefault(series, []).extend((at - now(house), value) for at, value in pairs)
    return found


def ledger(house: Engine) -> tuple[int, int, int, dict[str, int]]:
    told = house.telemetry.ledger()
    assert told["received"] == told["stored"] + told["deduplicated"] + sum(told["rejected"].values())
    assert told["in_flight"] == 0
    return told["received"], told["stored"], told["deduplicated"], told["rejected"]


def requests(house: Engine, outcome: str) -> float:
    return float(house.telemetry.remote_writes.labels(outcome)._value.get())


@pytest.mark.parametrize(("pack", "headers"), [(first, V1), (second, V2)], ids=["1.0", "2.0"])
def test_what_is_written_is_durable_and_there_when_204_is_said(
    house: Engine, client: TestClient, pack: object, headers: dict[str, str]
) -> None:
    samples: list[Sample] = [(UP, now(house), 1.0), (LOAD, now(house), 0.0), (UP, now(house) + 15_000, STALE_NAN)]
    answer = client.post(PATH, content=pack(*samples), headers=headers)  # type: ignore[operator]
    assert (answer.status_code, answer.content) == (204, b"")
    assert stored(house) == {UP: [(0, 1.0)], LOAD: [(0, 0.0)]}
    assert house.samples.durable_sequence == house.samples.stats()["sequence"]
    assert ledger(house) == (3, 3, 0, {})
    source = house.sources["remote_write"]
    assert (source.state, source.received, source.stored) == ("up", 3, 3)


@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_only_a_token_that_may_write_writes(house: Engine, client: TestClient, role: Role | None) -> None:
    asked = sender(house, role) if role else client
    if role is None:
        del asked.headers["authorization"]
    answer = asked.post(PATH, content=first((UP, now(house), 1.0)), headers=V1)
    assert answer.status_code == (403 if role else 401)
    assert stored(house) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {**V1, "content-type": "application/json"},
        {**V1, "content-type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"},
        {**V1, "content-encoding": "gzip"},
        {**V2, "content-encoding": "zstd"},
        {"content-encoding": "snappy"},
    ],
    ids=str,
)
def test_a_form_that_is_not_spoken_is_415(house: Engine, client: TestClient, headers: dict[str, str]) -> None:
    assert client.post(PATH, content=first((UP, now(house), 1.0)), headers=headers).status_code == 415
    assert requests(house, "media_type") == 1


def test_the_first_version_named_in_full_is_taken(house: Engine, client: TestClient) -> None:
    named = {**V1, "content-type": "application/x-protobuf;proto=prometheus.WriteRequest"}
    assert client.post(PATH, content=first((UP, now(house), 1.0)), headers=named).status_code == 204


@pytest.mark.parametrize("headers", [V1, V2], ids=["1.0", "2.0"])
@pytest.mark.parametrize(
    "body", [b"", b"no snappy", snappy.compress(b"\x0a\xffno protobuf"), snappy.compress(b"\xff" * 40)], ids=repr
)
def test_what_cannot_be_read_is_400_and_never_tried_again(
    house: Engine, client: TestClient, body: bytes, headers: dict[str, str]
) -> None:
    answer = client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 400
    assert requests(house, "malformed") == 1
    assert written(answer.headers) == (("0", "0", "0") if headers is V2 else ("?", "?", "?"))


def test_a_header_that_claims_four_gibibytes_costs_nothing(house: Engine, client: TestClient) -> None:
    client.post(PATH, content=b"", headers=V1)
    tracemalloc.start()
    answer = client.post(PATH, content=b"\xff\xff\xff\xff\x0f", headers=V1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 8 << 20
    assert requests(house, "too_large") == 1


@pytest.mark.parametrize(("pack", "headers"), [(first, V1), (second, V2)], ids=["1.0", "2.0"])
def test_good_samples_of_a_request_are_kept_and_the_others_told(
    house: Engine, client: TestClient, pack: object, headers: dict[str, str]
) -> None:
    bad = labels(job="x")
    samples: list[Sample] = [
        (UP, now(house), 1.0),
        (UP, now(house), 2.0),
        (LOAD, now(house) + 3_600_000, 1.0),
        (bad, now(house), 1.0),
    ]
    answer = client.post(PATH, content=pack(*samples), headers=headers)  # type: ignore[operator]
    assert answer.status_code == 400
    assert answer.text == "refused: 1 duplicate_timestamp, 1 future, 1 label_invalid; kept: 1\n"
    assert written(answer.headers) == ("1", "0", "0")
    assert stored(house) == {UP: [(0, 1.0)]}
    assert ledger(house) == (4, 1, 0, {"duplicate_timestamp": 1, "future": 1, "label_invalid": 1})


def test_a_repeated_request_is_deduplicated_and_welcome(house: Engine, client: TestClient) -> None:
    body = second((UP, now(house), 1.0), (LOAD, now(house), 2.0))
    for _ in range(2):
        answer = client.post(PATH, content=body, headers=V2)
        assert (answer.status_code, written(answer.headers)) == (204, ("2", "0", "0"))
    assert ledger(house) == (4, 2, 2, {})


def test_labels_need_not_be_sorted(house: Engine, client: TestClient) -> None:
    block = remote_write.label_block((("z", "1"), ("__name__", "m"), ("a", "2")))
    row = block + first((UP, now(house), 1.0))[:0]
    sample = build("Sample", timestamp=now(house), value=0)
    body = build("Write", timeseries=[row + b"\x12" + remote_write.varint(len(sample)) + sample])
    assert client.post(PATH, content=snappy.compress(body), headers=V1).status_code == 204
    assert stored(house) == {labels("m", a="2", z="1"): [(0, 0.0)]}


def test_native_histograms_and_exemplars_are_counted_by_name(house: Engine, client: TestClient) -> None:
    row = remote_write.label_block(UP) + b"\x1a\x02\x08\x01" + b"\x22\x02\x08\x01"
    more = b"\x0a" + remote_write.varint(len(row)) + row
    assert client.post(PATH, content=first((LOAD, now(house), 1.0), more=more), headers=V1).status_code == 204
    assert ledger(house) == (2, 1, 0, {"native_histogram": 1})
    body = second((UP, now(house), 1.0), histograms=[b"\x08\x01"], exemplars=[b"\x08\x01"])
    answer = client.post(PATH, content=body, headers=V2)
    assert (answer.status_code, written(answer.headers)) == (400, ("1", "0", "0"))
    assert answer.text == "refused: 1 native_histogram; kept: 1\n"
    assert house.telemetry.remote_write_exemplars._value.get() == 2


def test_metadata_are_served_as_prometheus_serves_them(house: Engine, client: TestClient) -> None:
    about = build("About", type=2, family=b"up", help=b"is it up", unit=b"")
    more = b"\x1a" + remote_write.varint(len(about)) + about
    client.post(PATH, content=first((UP, now(house), 1.0), more=more), headers=V1)
    told = client.get("/api/v1/metadata?metric=up").json()["data"]
    assert told == {"up": [{"type": "gauge", "help": "is it up", "unit": ""}]}


class Full:
    """A store whose disk takes nothing."""

    def __init__(self, error: StoreError) -> None:
        self.error = error

    def push_numbered(self, *_: object) -> None:
        raise self.error


@pytest.mark.parametrize("error", [StoreFullError("no space left"), StoreError("the disk refuses fsync")])
def test_a_store_that_cannot_asks_to_be_tried_again(
    house: Engine, client: TestClient, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    monkeypatch.setattr(house.samples, "push_numbered", Full(error).push_numbered)
    for body, headers in ((first((UP, now(house), 1.0)), V1), (second((UP, now(house), 1.0)), V2)):
        answer = client.post(PATH, content=body, headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    monkeypatch.undo()
    assert client.post(PATH, content=first((UP, now(house), 1.0)), headers=V1).status_code == 204


def test_of_a_pair_one_is_listened_to_until_it_falls_silent(house: Engine, client: TestClient) -> None:
    def write(replica: str, after: int, value: float) -> None:
        series = labels("up", cluster="eu", __replica__=replica)
        assert client.post(PATH, content=first((series, now(house) + after, value)), headers=V1).status_code == 204

    write("a", 0, 1.0)
    write("b", 1, 2.0)
    write("a", 15_000, 3.0)
    clock_of(house).advance(31)
    write("b", 2, 4.0)
    write("a", 3, 5.0)
    assert {series: len(found) for series, found in stored(house).items()} == {labels("up", cluster="eu"): 3}
    assert ledger(house) == (5, 3, 2, {})


def test_series_refused_for_ever_do_not_fill_the_memory(
    house: Engine, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.app.pipeline.receive.MOST_KNOWN", 8)
    for turn in range(30):
        body = first((labels(job="nameless"), now(house) + turn, 1.0), (UP, now(house) + turn, float(turn)))
        assert client.post(PATH, content=body, headers=V1).status_code == 400
    assert len(house.receiving._sids) < 12
    assert stored(house) == {UP: [(turn, float(turn)) for turn in range(30)]}
