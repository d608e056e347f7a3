"""The payment service: charges cards, quotes shipping, and exports what operators ask of any service."""

from __future__ import annotations

import random
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
from prometheus_client import Counter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from watchkeeper.app.demo.faults import Faults
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.service import Answer, Request, Service, log_to
from watchkeeper.app.demo.shop import Shop
from watchkeeper.app.demo.switches import SWITCHES, Switches

#: Share of charges that fail, usually and while ``payment-failures`` is on.
USUAL, ILL = 0.012, 0.33
#: Seconds of a shipping quote, usually (mean, spread) and while ``slow-api`` is on (from, to).
QUOTE, SLOW = (0.05, 0.015), (16.0, 19.0)
#: Cards kept in memory; there are more users than that, so that some are always looked up.
CACHED = 250
#: Seconds over which signals are measured: single requests would make them jump.
WINDOW = 30.0


class Payment:
    """``dice``, ``sleep`` and ``clock`` (steady seconds) are there for tests."""

    def __init__(
        self,
        place: Place,
        *,
        dice: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dice = dice or random.Random()  # noqa: S311 - plays a payment network
        self.sleep, self.clock = sleep, clock
        self.shop, self.faults, self.switches = Shop.of(place), Faults(place.faults), Switches(place.switches)
        self.log = log_to(place.logs / "payment.log", "payment", plain=True)
        self.cards: OrderedDict[int, str] = OrderedDict()
        self.hits, self.misses = 0, 0
        self.service = Service("payment")
        self.service.route("/charge", self.charge)
        self.service.route("/quote", self.quote)
        self.service.route("/carrier", self.carrier)
        self.service.route("/gateway", self.gateway)
        registry = self.service.registry
        self.attempts = Counter("payment_attempts", "Charges tried.", registry=registry)
        self.failed = Counter("payment_failed", "Charges refused by the payment network.", registry=registry)
        registry.register(Signals(self))

    def charge(self, request: Request) -> Answer:
        wanted = request.json
        token = self.card(int(wanted["user"]))
        self.attempts.inc()
        self.sleep(max(self.dice.gauss(0.06, 0.02), 0.005))
        if self.dice.random() < (ILL if self.gateway_ill() else USUAL):
            self.failed.inc()
            self.log.warning("charge refused for %s: gateway answered 05", token)
            return Answer.of({"paid": False})
        self.log.info("charged %s cents to %s", wanted["cents"], token)
        return Answer.of({"paid": True})

    def gateway_ill(self) -> bool:
        """Only the main gateway fails; the backup is dearer and well."""
        return self.faults.on("payment-failures") and self.switches["gateway"] == "main"

    def gateway(self, _request: Request) -> Answer:
        """A trial charge through the gateway in use."""
        return Answer.of({"gateway": self.switches["gateway"]}, 503 if self.gateway_ill() else 200)

    def carrier(self, _request: Request) -> Answer:
        """What the carrier itself answers, whatever buyers are given."""
        return Answer.of({"carrier": "loopback"}, 503 if self.faults.on("carrier-down") else 200)

    def quote(self, _request: Request) -> Answer:
        if self.switches["quotes"] == "cached":
            return Answer.of({"cents": 1000, "cached": True})
        if self.faults.on("carrier-down"):
            self.log.error("no quote: the carrier answers 503")
            return Answer.of({"error": "carrier"}, 502)
        slow = self.faults.on("slow-api")
        self.sleep(self.dice.uniform(*SLOW) if slow else max(self.dice.gauss(*QUOTE), 0.005))
        if slow:
            self.log.warning("quote took very long: carrier API is slow")
        return Answer.of({"cents": 800 + self.dice.randint(0, 400)})

    def card(self, user: int) -> str:
        """From memory, or from the database."""
        if user in self.cards:
            self.hits += 1
            self.cards.move_to_end(user)
            return self.cards[user]
        self.misses += 1
        self.cards[user] = found = self.shop.card(user)
        while len(self.cards) > CACHED:
            self.cards.popitem(last=False)
        return found


class Signals:
    """The eight signals of a service over the last half minute, and the depth of its queue."""

    def __init__(self, payment: Payment) -> None:
        self.payment, self.process = payment, psutil.Process()
        self.process.cpu_percent(None)
        self.seen = deque([self._sums()])

    def _sums(self) -> dict[str, float]:
        disk, service = self.process.io_counters(), self.payment.service
        return {
            "at": self.payment.clock(),
            "read": disk.read_bytes,
            "write": disk.write_bytes,
            "receive": service.traffic[0],
            "transmit": service.traffic[1],
            "hits": self.payment.hits,
            "asked": self.payment.hits + self.payment.misses,
            "seconds": service.seconds,
            "answered": service.answered,
            "errors": service.errors,
        }

    def collect(self) -> Iterable[Metric]:
        now = self._sums()
        while len(self.seen) > 1 and now["at"] - self.seen[0]["at"] > WINDOW:
            self.seen.popleft()
        before = self.seen[0]
        self.seen.append(now)
        grew = {name: now[name] - before[name] for name in now}
        yield _gauge("cpu_usage", "Share of one processor.", self.process.cpu_percent(None) / 100)
        yield _gauge("memory_usage", "Share of this machine's memory.", self.process.memory_percent() / 100)
        yield _directed("disk_io", "Bytes a second.", {one: _per(grew[one], grew["at"]) for one in ("read", "write")})
        both = {one: _per(grew[one], grew["at"]) for one in ("receive", "transmit")}
        yield _directed("network_io", "Bytes a second.", both)
        yield _gauge("database_connections", "Most at once since the last look.", float(self.payment.shop.most))
        self.payment.shop.most = self.payment.shop.open
        yield _gauge("cache_hit_rate", "Share of card look-ups from memory.", _per(grew["hits"], grew["asked"]))
        yield _gauge("api_response_times", "Mean seconds of an answer.", _per(grew["seconds"], grew["answered"]))
        yield _gauge("error_rates", "Share of answers with a 5xx.", _per(grew["errors"], grew["answered"]))
        yield _gauge("carrier_up", "The carrier answered.", float(not self.payment.faults.on("carrier-down")))
        yield self._switches()
        pending, ever = self.payment.shop.waiting()
        yield _gauge("job_queue_pending_count", "Jobs that wait for a worker.", float(pending))
        yield CounterMetricFamily("job_queue_enqueued", "Jobs ever queued.", value=float(ever))

    def _switches(self) -> Metric:
        found = GaugeMetricFamily("shop_switch", "0 as usual, 1 switched.", labels=("name",))
        for name in SWITCHES:
            found.add_metric((name,), float(not self.payment.switches.usual(name)))
        return found


def _per(amount: float, of: float) -> float:
    """Nothing of nothing is unknown, not 0."""
    return amount / of if of > 0 else float("nan")


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _directed(name: str, text: str, values: dict[str, float]) -> Metric:
    found = GaugeMetricFamily(name, text, labels=("direction",))
    for direction, value in values.items():
        found.add_metric((direction,), value)
    return found


def main(root: str, port: str) -> None:
    Payment(Place(Path(root))).service.run(int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
