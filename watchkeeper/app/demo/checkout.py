"""The checkout API, in two copies: takes an order, has it paid, and says which copy did it."""

from __future__ import annotations

import http.client
import json
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import Counter

from watchkeeper.app.demo.faults import Faults
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.service import Answer, Request, Service, fields, log_to
from watchkeeper.app.demo.shop import Shop
from watchkeeper.app.demo.switches import Switches

#: Yuan that one call costs: the backup is rented by the call and dearer.
COST = {"primary": 0.02, "backup": 0.09}
#: Share of purchases that fail while ``error-burst`` is on, and of buyers who change their mind.
BURST, CANCELLED = 0.35, 0.05

Pay = Callable[[int, int], bool]


class Checkout:
    """One copy."""

    def __init__(self, copy: str, place: Place, pay: Pay, *, dice: random.Random | None = None) -> None:
        self.copy, self.pay = copy, pay
        self.dice = dice or random.Random()  # noqa: S311 - plays users
        self.shop, self.faults, self.switches = Shop.of(place), Faults(place.faults), Switches(place.switches)
        self.log = log_to(place.logs / f"checkout-{copy}.json.log", f"checkout-{copy}")
        self.service = Service(copy)
        self.service.route("/buy", self.buy)
        self.cost = Counter(
            "checkout_cost_yuan", "What the calls of this copy cost.", ("copy",), registry=self.service.registry
        )
        self.cost.labels(copy)

    def buy(self, request: Request) -> Answer:
        """An order from beginning to end."""
        wanted, now = request.json, datetime.now(UTC)
        if self.switches["orders"] == "stopped":
            return Answer.of({"status": "closed", "copy": self.copy})
        self.cost.labels(self.copy).inc(COST[self.copy])
        if self.faults.on("error-burst") and self.dice.random() < BURST:
            self.log.error("checkout failed: inventory snapshot is inconsistent", extra=fields(user=wanted["user"]))
            return Answer.of({"error": "inventory"}, 500)
        order = self.shop.add_order(int(wanted["user"]), int(wanted["cents"]), now)
        if self.dice.random() < CANCELLED:
            return self._end(order, "cancelled", now)
        try:
            paid = self.pay(int(wanted["user"]), int(wanted["cents"]))
        except (OSError, http.client.HTTPException) as error:
            self.log.error("payment does not answer", extra=fields(order=order, error=type(error).__name__))
            self.shop.settle(order, "failed", now)
            return Answer.of({"error": "payment"}, 502)
        return self._end(order, "paid" if paid else "failed", now)

    def _end(self, order: int, status: str, now: datetime) -> Answer:
        self.shop.settle(order, status, now)
        level = self.log.warning if status == "failed" else self.log.info
        level("order settled", extra=fields(order=order, status=status))
        return Answer.of({"order": order, "status": status, "copy": self.copy})


def payment_at(port: int) -> Pay:
    """Asks the payment service."""

    def pay(user: int, cents: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", "/charge", json.dumps({"user": user, "cents": cents}))
            answer = connection.getresponse()
            found = json.loads(answer.read())
            return answer.status == 200 and bool(found["paid"])
        finally:
            connection.close()

    return pay


def main(copy: str, root: str, port: str, payment: str) -> None:
    Checkout(copy, Place(Path(root)), payment_at(int(payment))).service.run(int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
