"""History of a Prometheus server comes over sample by sample, once, whatever stops it on the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
from support.samples import Stored, contents
from support.servers import prometheus

from watchkeeper.app.importing import Import, ImportStoppedError, Progress, Wanted
from watchkeeper.clock import ManualClock, SystemClock, to_ms
from watchkeeper.errors import OutboundError
from watchkeeper.model import Labels, labels
from watchkeeper.outbound import Outbound, Response
from watchkeeper.store.samples import EmbeddedStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
START = to_ms(NOON) - 2 * 3_600_000
SERIES = [labels("up", job="a", instance="x"), labels("load", job="a", instance="x"), labels("up", job="b")]
SPECIAL = {3: "NaN", 5: "+Inf", 7: "-Inf"}


def history() -> dict[Labels, list[tuple[int, str]]]:
    """Two hours, 15 s apart, of three series; one comes late, one has a gap."""
    found: dict[Labels, list[tuple[int, str]]] = {series: [] for series in SERIES}
    for number in range(480):
        at = START + 7 + number * 15_000
        for place, series in enumerate(SERIES):
            if (place == 1 and number < 100) or (place == 2 and 200 < number < 300):
                continue
            found[series].append((at + 11 * (place == 2), SPECIAL.get(number, repr(number / 7 + place))))
    return found


class Server(Outbound):
    """A Prometheus that answers range selectors over a history, with faults."""

    def __init__(self) -> None:
        super().__init__(allow_private=True)
        self.asked: list[int] = []
        self.fail_after = 1_000
        self.most_ms = 10**9
        self.history: dict[Labels, list[tuple[int, str]]] = history()

    async def request(self, method: str, url: str, **options: Any) -> Response:
        asked = parse_qs(urlsplit(url).query)
        selector, _, width = asked["query"][0].removesuffix("]").partition("[")
        self.asked.append(int(width.removesuffix("ms")))
        if len(self.asked) > self.fail_after:
            raise OutboundError("connection refused", reason="connect")
        if self.asked[-1] > self.most_ms:
            return self._answer(422, {"status": "error", "errorType": "execution", "error": "too many samples"})
        if selector == "bad":
            return self._answer(400, {"status": "error", "errorType": "bad_data", "error": "no such thing"})
        end = round(float(asked["time"][0]) * 1000)
        rows = [
            {
                "metric": dict(series),
                "values": [[at / 1000, value] for at, value in samples if end - self.asked[-1] <= at <= end],
            }
            for series, samples in self.history.items()
        ]  # as Prometheus 2: both ends of the window are in it
        return self._answer(200, {"status": "success", "data": {"resultType": "matrix", "result": rows}})

    def _answer(self, status: int, body: Any) -> Response:
        return Response(status=status, headers={}, body=json.dumps(body).encode())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "samples", clock=ManualClock(NOON))
    yield made
    made.close()


def wanted(**other: Any) -> Wanted:
    return Wanted(**{"url": "http://p:9090", "matches": ["up"], "start_ms": START, "end_ms": to_ms(NOON), **other})


def expected() -> Stored:
    return {
        (series, at): int(np.array([float(value)]).view(np.uint64)[0])
        for series, samples in history().items()
        for at, value in samples
    }


def silent(_: Progress) -> None: ...


async def test_every_sample_comes_over_bit_for_bit(store: EmbeddedStore, tmp_path: Path) -> None:
    server = Server()
    done = await Import(wanted(), store, tmp_path / "notes", server).run(silent)
    assert contents(store) == expected()
    assert server.asked == [1_800_000] * 4
    assert (done.received, done.deduplicated, done.rejected.total()) == (
        done.stored,
        0,
        0,
    )


async def test_it_goes_on_where_it_stopped_and_keeps_nothing_twice(store: EmbeddedStore, tmp_path: Path) -> None:
    server = Server()
    server.fail_after = 2
    with pytest.raises(OutboundError):
        await Import(wanted(), store, tmp_path / "notes", server).run(silent)
    half = len(contents(store))
    assert 0 < half < len(expected())
    server.fail_after = 1_000
    server.asked.clear()
    await Import(wanted(), store, tmp_path / "notes", server).run(silent)
    assert server.asked == [1_800_000] * 2
    assert contents(store) == expected()
    again = await Import(wanted(), store, tmp_path / "other", server).run(silent)  # its notes are lost
    assert again.stored == 0
    assert contents(store) == expected()


async def test_too_much_at_once_is_asked_for_in_parts(store: EmbeddedStore, tmp_path: Path) -> None:
    server = Server()
    server.most_ms = 500_000
    await Import(wanted(), store, tmp_path / "notes", server).run(silent)
    assert contents(store) == expected()
    server.most_ms = 1_000
    with pytest.raises(ImportStoppedError, match="cannot answer for one minute; select less"):
        await Import(wanted(matches=["load"]), store, tmp_path / "notes", server).run(silent)


async def test_a_refusal_is_told_in_the_servers_words(store: EmbeddedStore, tmp_path: Path) -> None:
    with pytest.raises(ImportStoppedError, match="bad: no such thing"):
        await Import(wanted(matches=["bad"]), store, tmp_path / "notes", Server()).run(silent)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / f"{wanted().key}-{START}.json").write_text("{")
    with pytest.raises(ImportStoppedError, match="remove it to start anew"):
        Import(wanted(), store, tmp_path / "notes", Server())


async def test_a_second_selection_of_the_same_targets_is_kept_too(store: EmbeddedStore, tmp_path: Path) -> None:
    server = Server()
    whole = server.history
    for match, kept in (("up", SERIES[::2]), ("load", SERIES[1:2])):
        server.history = {series: whole[series] for series in kept}
        done = await Import(wanted(matches=[match]), store, tmp_path / "notes", server).run(silent)
        assert done.rejected.total() == done.deduplicated == 0
    assert contents(store) == expected()


@pytest.mark.servers
async def test_a_real_prometheus_is_copied_exactly(tmp_path: Path) -> None:
    config = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:{port}']}]}]
"""
    outbound = Outbound(allow_private=True)
    with prometheus(config, tmp_path) as server:
        deadline = time.monotonic() + 60
        while max(map(len, (await raw(outbound, server.url, "up", time.time())).values()), default=0) < 12:
            assert time.monotonic() < deadline, server.said()
            await asyncio.sleep(0.2)
        end = int(time.time() * 1000) - 500
        truth = await raw(outbound, server.url, '{job="self"}', end / 1000)
        store = EmbeddedStore(tmp_path / "samples", clock=SystemClock())
        asked = Wanted(url=server.url, matches=['{job="self"}'], start_ms=end - 600_000, end_ms=end, window_ms=300_000)
        done = await Import(asked, store, tmp_path / "notes", outbound).run(silent)
        found = contents(store)
        store.close()
    await outbound.aclose()
    assert done.rejected.total() == done.deduplicated == 0
    assert len(truth) > 200
    assert found == {
        (series, at): int(np.array([value]).view(np.uint64)[0])
        for series, samples in truth.items()
        for at, value in samples
    }


async def raw(outbound: Outbound, url: str, selector: str, at: float) -> dict[Labels, list[tuple[int, float]]]:
    """What the server itself says about ten minutes."""
    query = urlencode({"query": f"{selector}[10m]", "time": f"{at:.3f}"})
    answer = await outbound.request("GET", f"{url}/api/v1/query?{query}", max_bytes=64 << 20)
    return {
        tuple(sorted(row["metric"].items())): [(round(when * 1000), float(value)) for when, value in row["values"]]
        for row in json.loads(answer.body)["data"]["result"]
    }


def test_old_samples_are_refused_before_any_is_asked_for(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from watchkeeper.app.cli import app

    (tmp_path / "wk.yaml").write_text(f"data: {tmp_path / 'data'}\n")
    long_ago = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    words = ["import", "prometheus", "http://127.0.0.1:1", "--match", "up", "--from", long_ago]
    answer = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "wk.yaml")])
    assert "raise the retention, or write --from" in str(answer.exception)
    assert not (tmp_path / "data").exists()
