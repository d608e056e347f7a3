"""Buyers: a load that goes up and down like a day, in ten minutes, so that charts live while you watch."""

from __future__ import annotations

import http.client
import json
import math
import random
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import Counter, Gauge

from watchkeeper.app.demo.faults import Faults
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.service import Service, log_to
from watchkeeper.app.demo.shop import USERS, Shop, price

#: Seconds of one played day, purchases a second at its mean, and their share that rises and falls.
DAY, MEAN, SWING = 600.0, 1.6, 0.55
#: Jobs of the campaign: at once, and a second.
CAMPAIGN, SURGE = 120, 8
#: Lines a second of ``log-storm``; share of purchases that come back.
STORM, REFUNDED = 300, 0.02
#: Buyers that may wait for an answer at the same time; more go away.
PATIENT = 60


def rate(elapsed: float) -> float:
    """Purchases a second at this time of the played day."""
    return MEAN * (1 + SWING * math.sin(2 * math.pi * elapsed / DAY))


class Traffic:
    def __init__(self, place: Place, front: int, payment: int) -> None:
        self.front, self.payment = front, payment
        self.shop, self.faults = Shop.of(place), Faults(place.faults)
        self.storm = log_to(place.logs / "gateway.log", "gateway", plain=True)
        self.dice = random.Random()  # noqa: S311 - plays buyers
        self.service = Service("traffic")
        registry = self.service.registry
        self.bought = Counter("shop_purchases", "Purchases as buyers see them.", ("outcome", "copy"), registry=registry)
        self.level = Gauge("shop_purchases_per_second", "What the played day asks for.", registry=registry)
        self.patience = threading.Semaphore(PATIENT)
        self.campaign: float | None = None  #: beginning of the campaign that was started already

    def buy(self) -> None:
        body = json.dumps({"user": self.dice.randint(1, USERS), "cents": price(self.dice)})
        try:
            status, found = ask(self.front, "POST", "/buy", body, 8.0)
            self.bought.labels(str(found.get("status", status)), str(found.get("copy", ""))).inc()
            if found.get("status") == "paid" and self.dice.random() < REFUNDED:
                self.shop.refund_one()
        except (OSError, http.client.HTTPException, ValueError):
            self.bought.labels("failed", "").inc()

    def quote(self) -> None:
        try:
            ask(self.payment, "GET", "/quote", "", 30.0)
        except (OSError, http.client.HTTPException, ValueError):
            self.bought.labels("no_quote", "").inc()

    def patiently(self, what: str) -> None:
        """In a thread of its own, unless too many wait already."""
        if not self.patience.acquire(blocking=False):
            return

        def go() -> None:
            try:
                getattr(self, what)()
            finally:
                self.patience.release()

        threading.Thread(target=go, daemon=True).start()

    def second(self, now: float) -> None:
        """What happens once a second beside the buyers: the campaign and the storm."""
        began = self.faults.since("queue-backlog")
        if began is not None:
            self.shop.queue(SURGE if self.campaign == began else CAMPAIGN, datetime.fromtimestamp(now, UTC))
        self.campaign = began
        if self.faults.on("log-storm"):
            for number in range(STORM):
                self.storm.error("upstream connect error or disconnect/reset before headers, retry %d of 3", number % 3)
        else:
            self.storm.info("gateway is well")

    def run(self) -> None:
        began = last = time.monotonic()
        while True:
            level = rate(time.monotonic() - began)
            self.level.set(level)
            self.patiently("buy")
            if self.dice.random() < 0.5:
                self.patiently("quote")
            if time.monotonic() - last >= 1.0:
                last = time.monotonic()
                self.second(time.time())
            time.sleep(min(self.dice.expovariate(level), 1.5))


def ask(port: int, method: str, path: str, body: str, timeout: float) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if answer.getheader("content-type") == "application/json" else {}
    finally:
        connection.close()


def main(root: str, port: str, front: str, payment: str) -> None:
    traffic = Traffic(Place(Path(root)), int(front), int(payment))
    threading.Thread(target=traffic.run, daemon=True).start()
    traffic.service.run(int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
