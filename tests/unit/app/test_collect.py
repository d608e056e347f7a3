"""Collect: what a source says becomes samples, a ledger and a state; what fails is seen and stops nobody else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from collectors.http_probe import HttpProbe
from collectors.http_steps import Step
from collectors.openmetrics import Openmetrics
from watchkeeper.app.pipeline import collect
from watchkeeper.app.pipeline.collect import GRACE, UNBOUNDED, Collecting, Source, bound, gone
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.errors import CollectError, OutboundError, StoreError, StoreFullError
from watchkeeper.model import Labels, Layout, LogBatch, Tick, is_stale, label, labels, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Appended, Collected
from watchkeeper.telemetry import Telemetry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LAYOUT = Layout((labels("load", job="shop"), labels("heat", job="shop")))


def tick(target: str = "fake/shop", *values: float) -> Tick:
    numbers = np.array(values or (1.0, 2.0))
    return Tick(target=target, time_ms=to_ms(NOON), layout=LAYOUT, values=numbers)


class Store:
    """Keeps ticks; ``answer`` may refuse."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.answer: Callable[[Tick], Appended] = lambda one: Appended(received=len(one.layout), stored=len(one.layout))

    def append_all(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]:
        return [self._append(one) for one in ticks]

    def _append(self, one: Tick) -> Appended | StoreError:
        try:
            answer = self.answer(one)
        except StoreError as error:
            return error
        self.ticks.append(one)
        return answer


class Fake:
    """A collector that brings or raises what it was given."""

    def __init__(self, *says: Collected | Exception) -> None:
        self.says, self.stale = list(says), [tick("fake/shop"), tick("fake/shop.processes")]

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def stale_ticks(self, now: datetime) -> list[Tick]:
        found, self.stale = self.stale, []
        return found

    async def close(self) -> None:
        return None


class Deaf:
    """Never answers, and will not be cancelled until it is released."""

    timeout = 0.01

    def __init__(self) -> None:
        self.release, self.calls = asyncio.Event(), 0

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        self.calls += 1
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue
        raise CollectError("too late for anybody", reason="late")

    async def close(self) -> None:
        return None


class House:
    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.store, self.telemetry = Store(), Telemetry()
        self.scored: list[Tick] = []
        self.lines: list[LogBatch] = []
        anything: Any = self.store
        nobody: Any = None
        self.collecting = Collecting(
            store=anything,
            outbound=nobody,
            telemetry=self.telemetry,
            clock=ManualClock(NOON),
            executor=executor,
            scored=self._score,
            logged=self._log,
        )

    async def _score(self, ticks: Sequence[Tick]) -> None:
        self.scored += ticks

    async def _log(self, source: Source, lines: Sequence[LogBatch]) -> None:
        self.lines += lines

    def appended(self, name: str) -> dict[str, float]:
        """metric -> value of the last tick of a target."""
        last = [one for one in self.store.ticks if one.target == name][-1]
        return {metric_name(series): value for series, value in zip(last.layout.series, last.values, strict=True)}

    def balanced(self) -> Mapping[str, Any]:
        found = self.telemetry.ledger()
        assert found["received"] == found["stored"] + found["deduplicated"] + sum(found["rejected"].values())
        assert found["in_flight"] == 0
        return found

    def collections(self, name: str, outcome: str) -> float:
        value = self.telemetry.registry.get_sample_value(
            "watchkeeper_collections_total", {"source": name, "outcome": outcome}
        )
        return value or 0.0


@pytest.fixture
def house() -> Iterator[House]:
    with ThreadPoolExecutor(1) as executor:
        yield House(executor)


def source(collector: Any, name: str = "shop") -> Source:
    pairs = {"job": name, "instance": "shop:80", "service": "checkout"}
    return Source(name, "fake", timedelta(seconds=15), collector, pairs)


async def test_what_a_source_says_is_kept_scored_and_shown(house: House) -> None:
    shop = source(Fake(Collected(ticks=[tick()], logs=[LogBatch.of((), ["hello"], to_ms(NOON))])))
    assert (shop.state, shop.last_at) == ("starting", None)
    await house.collecting.step(shop, NOON)
    assert (shop.state, shop.error, shop.last_at) == ("up", "", NOON)
    assert (shop.series, shop.samples, shop.received, shop.stored, shop.rejected) == (2, 2, 5, 5, {})
    assert shop.seconds >= 0
    assert house.appended("fake/shop") == {"load": 1.0, "heat": 2.0}
    assert [one.target for one in house.scored] == ["fake/shop"]
    assert [text for batch in house.lines for text in batch.texts()] == ["hello"]
    assert house.collections("shop", "ok") == 1
    assert house.balanced()["stored"] == 5


async def test_health_series_carry_the_labels_of_the_source(house: House) -> None:
    shop = source(Fake(Collected(ticks=[tick()]), Collected(ticks=[tick()])))
    await house.collecting.step(shop, NOON)
    await house.collecting.step(shop, NOON)
    first, second = [one for one in house.store.ticks if one.target == "health/shop"]
    assert first.layout is second.layout
    assert [metric_name(series) for series in first.layout.series] == list(collect.HEALTH)
    for series in first.layout.series:
        assert (label(series, "job"), label(series, "instance")) == ("shop", "shop:80")
        assert label(series, "service") == "checkout"
    said = house.appended("health/shop")
    assert (said["up"], said["scrape_samples_scraped"]) == (1.0, 2.0)


@pytest.mark.parametrize("error", [CollectError("no", reason="status"), OutboundError("no", reason="status")])
async def test_a_failure_is_up_0_and_marks_every_target_of_the_source_stale(house: House, error: Exception) -> None:
    shop = source(Fake(Collected(ticks=[tick()]), error, error))
    await house.collecting.step(shop, NOON)
    later = NOON + timedelta(seconds=15)
    house.store.ticks.clear()
    house.scored.clear()
    await house.collecting.step(shop, later)
    assert [one.target for one in house.store.ticks] == ["fake/shop", "fake/shop.processes", "health/shop"]
    assert [one.target for one in house.scored] == ["fake/shop", "fake/shop.processes"], "no data, no score"
    assert house.appended("health/shop")["up"] == 0.0
    assert house.appended("health/shop")["scrape_samples_scraped"] == 0.0
    assert (shop.state, shop.error, shop.last_at) == ("failing", "status: no", later)
    assert house.collections("shop", "status") == 1
    await house.collecting.step(shop, later)
    assert [one.target for one in house.store.ticks][3:] == ["health/shop"], "stale once, not every time"
    house.balanced()


async def test_after_a_failure_the_source_recovers(house: House) -> None:
    shop = source(Fake(CollectError("no", reason="timeout"), Collected(ticks=[tick()])))
    await house.collecting.step(shop, NOON)
    await house.collecting.step(shop, NOON)
    assert (shop.state, shop.error) == ("up", "")
    assert house.appended("health/shop")["up"] == 1.0


async def test_what_the_collector_and_the_store_refuse_is_in_the_ledger(house: House) -> None:
    def answer(one: Tick) -> Appended:
        if one.target.startswith("health"):
            return Appended(received=3, stored=3)
        return Appended(received=2, stored=0, deduplicated=1, rejected={"out_of_order": 1})

    house.store.answer = answer
    shop = source(Fake(Collected(ticks=[tick()], rejected={"parse": 3, "out_of_order": 1})))
    await house.collecting.step(shop, NOON)
    assert (shop.received, shop.stored, shop.rejected) == (9, 3, {"parse": 3, "out_of_order": 2})
    found = house.balanced()
    assert (found["received"], found["rejected"]) == (9, {"parse": 3, "out_of_order": 2})


async def test_a_full_disk_loses_samples_with_a_reason_and_no_source(house: House) -> None:
    def answer(one: Tick) -> Appended:
        raise StoreFullError("no space left")

    house.store.answer = answer
    shop = source(Fake(Collected(ticks=[tick()])))
    await house.collecting.step(shop, NOON)
    assert (shop.state, shop.received, shop.stored, shop.rejected) == ("up", 5, 0, {"disk_full": 5})
    assert house.balanced()["rejected"] == {"disk_full": 5}


async def test_a_probe_whose_target_fails_keeps_the_reason_until_it_is_well(house: House) -> None:
    def verdict(value: float, *more: Labels) -> Collected:
        layout = Layout((labels("probe_success"), *more))
        values = np.array([value, *(1.0 for _ in more)])
        return Collected(ticks=[Tick(target="p", time_ms=to_ms(NOON), layout=layout, values=values)])

    why = labels("probe_failure_info", reason="status")
    shop = source(Fake(verdict(0.0, why), verdict(1.0)))
    shop.kind = "http_probe"
    await house.collecting.step(shop, NOON)
    assert (shop.state, shop.reached, shop.failure) == ("up", False, why)
    await house.collecting.step(shop, NOON + timedelta(seconds=5))
    assert (shop.state, shop.reached, shop.failure) == ("up", True, ())


async def test_one_source_that_fails_does_not_stop_the_others(house: House) -> None:
    sources = [
        source(Fake(CollectError("no", reason="connect")), "broken"),
        source(Fake(ZeroDivisionError("oops")), "crashing"),
        source(Fake(Collected(ticks=[tick()])), "good"),
    ]
    found = await asyncio.gather(*(house.collecting.step(one, NOON) for one in sources), return_exceptions=True)
    assert [type(one) for one in found] == [type(None), ZeroDivisionError, type(None)]
    assert [one.state for one in sources] == ["failing", "failing", "up"]
    house.balanced()


async def test_a_crash_is_shown_as_a_failure_and_left_to_the_job_to_count(house: House) -> None:
    shop = source(Fake(ZeroDivisionError("oops")))
    with pytest.raises(ZeroDivisionError):
        await house.collecting.step(shop, NOON)
    assert (shop.state, shop.error) == ("failing", "error: oops")
    assert house.appended("health/shop")["up"] == 0.0


async def test_a_collector_that_forgets_its_own_bound_is_left_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "GRACE", 0.01)
    deaf = Deaf()
    shop = source(deaf)
    async with asyncio.timeout(5):
        await house.collecting.step(shop, NOON)
        assert (shop.state, shop.error) == ("failing", "timeout: no answer within 0.02 s")
        await house.collecting.step(shop, NOON)
        assert shop.error == "timeout: the last collection has not come back"
        assert deaf.calls == 1, "never two at a time"
        deaf.release.set()
        assert shop.running is not None
        await asyncio.wait({shop.running})
        del shop.running
        gc.collect()  # an error nobody looked at would be a warning, and a warning fails the test
    assert house.collections("shop", "timeout") == 2


async def test_a_cancelled_step_takes_its_collection_along(house: House) -> None:
    began = asyncio.Event()

    class Slow(Fake):
        async def collect(self, now: datetime, outbound: Outbound) -> Collected:
            began.set()
            await asyncio.Event().wait()
            raise AssertionError

    shop = source(Slow())
    step = asyncio.ensure_future(house.collecting.step(shop, NOON))
    await began.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert shop.running is not None
    await asyncio.wait({shop.running}, timeout=5)
    assert shop.running.cancelled()


def test_every_collection_has_a_bound() -> None:
    nothing: Any = object()
    assert bound(nothing) == UNBOUNDED
    assert bound(Openmetrics(url="http://shop/metrics", timeout=3.0)) == 3.0 + GRACE
    probe = HttpProbe(steps=[Step(name="s", url="http://shop/")], timeout=2.0, attempts=3, attempt_interval=4.0)
    assert bound(probe) == 18.0 + GRACE


async def test_a_removed_source_leaves_stale_health_behind_when_it_had_any(house: House) -> None:
    shop = source(Fake(Collected(ticks=[tick()])))
    assert gone(shop, NOON) is None
    await house.collecting.step(shop, NOON)
    left = gone(shop, NOON + timedelta(seconds=15))
    assert left is not None
    assert left.target == "health/shop"
    assert is_stale(left.values).all()
    assert len(left.layout) == len(collect.HEALTH)
