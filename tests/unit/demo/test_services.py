"""The services of the demo do real work: they sell, charge, store, and say how it went."""

from __future__ import annotations

import http.client
import json
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watchkeeper.app.demo import storage as storage_module
from watchkeeper.app.demo.checkout import COST, Checkout, payment_at
from watchkeeper.app.demo.faults import Faults
from watchkeeper.app.demo.payment import CACHED, SLOW, WINDOW, Payment
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.service import Request, Service
from watchkeeper.app.demo.shop import Shop
from watchkeeper.app.demo.storage import KEPT, Storage
from watchkeeper.app.demo.traffic import CAMPAIGN, DAY, MEAN, STORM, SURGE, Traffic, rate
from watchkeeper.app.demo.worker import work

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    found.claim().close()
    found.begin()
    Shop(found.shop).create()
    yield found
    for name, log in logging.Logger.manager.loggerDict.items():
        if name.startswith("demo.") and isinstance(log, logging.Logger):
            for handler in log.handlers:
                handler.close()
            log.handlers = []


@contextmanager
def served(service: Service) -> Iterator[int]:
    with service.server(0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def buy(checkout: Checkout, cents: int = 500) -> tuple[int, dict[str, object]]:
    answer = checkout.service.answer(Request("/buy", "", json.dumps({"user": 7, "cents": cents}).encode()))
    return answer.status, json.loads(answer.body)


def value(service: Service, series: str) -> float:
    page = service.answer(Request("/metrics", "", b"")).body.decode()
    (line,) = [line for line in page.splitlines() if line.rpartition(" ")[0] == series]
    return float(line.rpartition(" ")[2])


def orders(place: Place) -> list[tuple[str, int]]:
    with Shop(place.shop).connection() as found:
        return list(found.execute("SELECT status, amount_cents FROM orders ORDER BY id"))


def always(answer: bool) -> Callable[[int, int], bool]:
    return lambda _user, _cents: answer


class Loaded(random.Random):
    """Dice that always fall the same way."""

    def __init__(self, face: float) -> None:
        super().__init__(1)
        self.face = face

    def random(self) -> float:
        return self.face


# --- checkout ---


@pytest.mark.parametrize(("paid", "status"), [(True, "paid"), (False, "failed")])
def test_an_order_ends_as_its_payment_did_and_a_paid_one_becomes_a_job(place: Place, paid: bool, status: str) -> None:
    checkout = Checkout("primary", place, always(paid), dice=Loaded(0.9))
    assert buy(checkout) == (200, {"order": 1, "status": status, "copy": "primary"})
    assert orders(place) == [(status, 500)]
    assert Shop(place.shop).waiting() == ((1, 1) if paid else (0, 0))


def test_some_buyers_change_their_mind_before_they_pay(place: Place) -> None:
    def never(_user: int, _cents: int) -> bool:
        raise AssertionError("nobody pays for a cancelled order")

    assert buy(Checkout("primary", place, never, dice=Loaded(0.01)))[1]["status"] == "cancelled"


def test_during_an_error_burst_purchases_end_in_500_and_are_counted_and_logged(place: Place) -> None:
    checkout = Checkout("primary", place, always(True), dice=Loaded(0.1))
    assert buy(checkout)[0] == 200
    Faults(place.faults).break_("error-burst")
    assert buy(checkout)[0] == 500
    assert value(checkout.service, 'http_requests_total{path="/buy",status="500"}') == 1
    lines = [json.loads(line) for line in (place.logs / "checkout-primary.json.log").read_text().splitlines()]
    assert [line["level"] for line in lines] == ["info", "error"]
    assert lines[0]["order"] == 1


def test_a_payment_service_that_does_not_answer_fails_the_order(place: Place) -> None:
    with served(Service("nobody")) as port:
        pass
    status, found = buy(Checkout("primary", place, payment_at(port), dice=Loaded(0.9)))
    assert (status, found) == (502, {"error": "payment"})
    assert orders(place) == [("failed", 500)]


def test_the_backup_costs_more(place: Place) -> None:
    for copy in ("primary", "backup"):
        checkout = Checkout(copy, place, always(True), dice=Loaded(0.9))
        buy(checkout)
        assert value(checkout.service, f'checkout_cost_yuan_total{{copy="{copy}"}}') == COST[copy]
    assert COST["backup"] > COST["primary"]


def test_an_order_is_paid_over_real_http(place: Place) -> None:
    payment = Payment(place, dice=Loaded(0.9), sleep=lambda _seconds: None)
    with served(payment.service) as port:
        checkout = Checkout("primary", place, payment_at(port), dice=Loaded(0.9))
        with served(checkout.service) as front:
            assert get(front, "/health") == (200, "primary")
            assert get(front, "/nowhere")[0] == 404
            assert buy(checkout)[1]["status"] == "paid"
    assert value(payment.service, "payment_attempts_total") == 1
    assert value(payment.service, "payment_failed_total") == 0


# --- payment ---


def test_during_payment_failures_more_charges_are_refused(place: Place) -> None:
    payment = Payment(place, dice=Loaded(0.2), sleep=lambda _seconds: None)
    body = Request("/charge", "", b'{"user": 7, "cents": 500}')
    assert payment.service.answer(body).body == b'{"paid": true}'
    Faults(place.faults).break_("payment-failures")
    assert payment.service.answer(body).body == b'{"paid": false}'
    assert value(payment.service, "payment_attempts_total") == 2
    assert value(payment.service, "payment_failed_total") == 1
    assert "tok-000007" in (place.logs / "payment.log").read_text()


def test_a_slow_api_is_slower_than_the_rule_of_fifteen_seconds(place: Place) -> None:
    slept: list[float] = []
    payment = Payment(place, sleep=slept.append)
    quote = Request("/quote", "", b"")
    payment.service.answer(quote)
    Faults(place.faults).break_("slow-api")
    payment.service.answer(quote)
    assert slept[0] < 0.2
    assert 15 < SLOW[0] <= slept[1] <= SLOW[1]


def test_the_eight_signals_are_measured(place: Place) -> None:
    payment = Payment(place, dice=Loaded(0.9), sleep=lambda _seconds: None)
    page = payment.service.answer(Request("/metrics", "", b"")).body.decode()
    assert "cache_hit_rate NaN" in page, "of nothing nothing is known"
    for user in (1, 1, 1, 2):
        payment.service.answer(Request("/charge", "", json.dumps({"user": user, "cents": 1}).encode()))
    page = payment.service.answer(Request("/metrics", "", b"")).body.decode()
    found = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert float(found["cache_hit_rate"]) == 0.5
    assert float(found["error_rates"]) == 0.0
    assert float(found["api_response_times"]) > 0
    assert float(found["database_connections"]) >= 1
    assert 0 < float(found["memory_usage"]) < 1
    for name in ("cpu_usage", 'disk_io{direction="write"}', 'network_io{direction="receive"}'):
        assert float(found[name]) >= 0
    assert float(found["job_queue_pending_count"]) == 0


def test_the_card_cache_is_limited(place: Place) -> None:
    payment = Payment(place, sleep=lambda _seconds: None)
    for user in range(1, CACHED + 50):
        payment.card(user)
    assert len(payment.cards) == CACHED
    assert payment.card(CACHED + 49) == f"tok-{CACHED + 49:06d}"
    assert payment.hits == 1


def test_signals_forget_what_is_older_than_their_window(place: Place) -> None:
    now = [100.0]
    payment = Payment(place, clock=lambda: now[0])
    payment.card(1)
    now[0] += 1
    assert value(payment.service, "cache_hit_rate") == 0.0
    payment.card(1)
    now[0] += 1
    assert value(payment.service, "cache_hit_rate") == 0.5
    payment.card(1)
    now[0] += WINDOW
    assert value(payment.service, "cache_hit_rate") == 1.0, "the first miss is too long ago"


# --- workers and traffic ---


def test_a_worker_does_the_jobs_in_order_and_leaves_when_told(place: Place) -> None:
    shop, stopping = Shop(place.shop), threading.Event()
    shop.queue(3, NOON)
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(work(shop, stopping, seconds=0.01)))
    thread.start()
    waited = threading.Event()
    for _ in range(500):
        if not left(place):
            break
        waited.wait(0.01)
    stopping.set()
    thread.join(5)
    assert done == [3]
    assert left(place) == 0
    with shop.connection() as found:
        assert found.execute("SELECT count(*) FROM workers").fetchone()[0] == 0


def left(place: Place) -> int:
    with Shop(place.shop).connection() as found:
        return int(found.execute("SELECT count(*) FROM jobs WHERE status != 'completed'").fetchone()[0])


def test_a_worker_that_is_stopped_gives_its_job_back(place: Place) -> None:
    shop, stopping = Shop(place.shop), threading.Event()
    shop.queue(1, NOON)
    taken = threading.Event()

    class Watched(Shop):
        def take(self, worker: int, now: float) -> int | None:
            found = super().take(worker, now)
            taken.set()
            return found

    thread = threading.Thread(target=work, args=(Watched(place.shop), stopping), kwargs={"seconds": 60.0})
    thread.start()
    assert taken.wait(5)
    assert shop.waiting()[0] == 0
    stopping.set()
    thread.join(5)
    assert shop.waiting() == (1, 1)


def test_two_workers_never_take_the_same_job(place: Place) -> None:
    shop = Shop(place.shop)
    shop.queue(2, NOON)
    assert [shop.take(1, 0.0), shop.take(2, 0.0), shop.take(1, 0.0)] == [1, 2, None]


def test_the_campaign_starts_with_a_burst_once_and_goes_on(place: Place) -> None:
    traffic = Traffic(place, 1, 1)
    traffic.second(1000.0)
    assert traffic.shop.waiting() == (0, 0)
    Faults(place.faults).break_("queue-backlog")
    traffic.second(1001.0)
    traffic.second(1002.0)
    assert traffic.shop.waiting()[0] == CAMPAIGN + SURGE
    Faults(place.faults).heal("queue-backlog")
    traffic.second(1003.0)
    assert traffic.shop.waiting()[0] == CAMPAIGN + SURGE


def test_a_log_storm_writes_error_lines(place: Place) -> None:
    traffic = Traffic(place, 1, 1)
    traffic.second(1000.0)
    Faults(place.faults).break_("log-storm")
    traffic.second(1001.0)
    lines = (place.logs / "gateway.log").read_text().splitlines()
    assert len(lines) == 1 + STORM
    assert sum(" ERROR " in line for line in lines) == STORM


def test_buyers_count_what_they_saw(place: Place) -> None:
    checkout = Checkout("backup", place, always(True), dice=Loaded(0.9))
    with served(checkout.service) as port:
        traffic = Traffic(place, port, port)
        traffic.buy()
    assert value(traffic.service, 'shop_purchases_total{copy="backup",outcome="paid"}') == 1
    traffic.buy()
    assert value(traffic.service, 'shop_purchases_total{copy="",outcome="failed"}') == 1
    traffic.quote()
    assert value(traffic.service, 'shop_purchases_total{copy="",outcome="no_quote"}') == 1


def test_the_load_goes_up_and_down_around_its_mean() -> None:
    day = [rate(DAY * step / 100) for step in range(100)]
    assert sum(day) / 100 == pytest.approx(MEAN)
    assert max(day) > 1.5 * MEAN
    assert 0 < min(day) < 0.5 * MEAN


# --- storage ---


def test_receipts_are_archived_so_that_usual_business_never_fills_the_disk(place: Place) -> None:
    storage = Storage(place)
    for _ in range(KEPT + 20):
        storage.step()
    assert len(list(place.volume.iterdir())) == KEPT
    assert value(storage.service, "storage_volume_used_bytes") < 0.1 * value(
        storage.service, "storage_volume_size_bytes"
    )


def test_the_fault_fills_the_disk_and_stops_at_its_size(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "SIZE", 1 << 20)
    storage = Storage(place)
    Faults(place.faults).break_("disk-fill")
    for _ in range(10):
        storage.step()
    assert 0.7 * (1 << 20) < storage.used() <= 1 << 20
    assert (place.logs / "storage.json.log").read_text().count("no space left") >= 1
    Faults(place.faults).heal("disk-fill")
    storage.step()
    assert not (place.volume / "core.dump").exists()
