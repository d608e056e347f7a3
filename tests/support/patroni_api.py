"""Patroni's REST API in memory: what its members say, and what they do when they are told to switch.

The real thing stands beside it in ``support.patroni_pair``; that takes half a minute to start.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.answering import Answering, answering


class Members:
    """Three members behind one server; each has its own prefix as its address."""

    def __init__(self) -> None:
        self.leader, self.paused, self.dark = "a", False, False
        self.lag: dict[str, Any] = {"b": 0, "c": 4096}
        self.roles: dict[str, str] = {}
        self.received, self.writes_go_on = 1000, False
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.answer = (200, "Successfully switched over")
        self.obeys, self.authorization, self.url = True, "", ""

    def cluster(self) -> dict[str, Any]:
        rows = []
        for name in ("a", "b", "c"):
            row: dict[str, Any] = {"name": name, "state": "running", "api_url": f"{self.url}/{name}/patroni"}
            row["role"] = "leader" if name == self.leader else self.roles.get(name, "replica")
            rows.append(row if name == self.leader else {**row, "lag": self.lag.get(name, 0)})
        return {"members": rows, **({"pause": True} if self.paused else {})}

    def get(self, path: str) -> tuple[int, Any]:
        _, name, word = path.split("/", 2)
        if self.dark and name == self.leader:
            return 503, {}
        if word == "standby-leader":
            return 503, {}
        if word == "primary":
            return (200 if name == self.leader else 503), {}
        if word == "patroni":
            self.received += 100 * self.writes_go_on
            return 200, {"xlog": {"received_location": self.received}}
        return 200, self.cluster()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.orders.append((path.rpartition("/")[2], body))
        if self.answer[0] == 200 and self.obeys:
            self.leader, self.dark = body["candidate"], False
        return self.answer


@contextmanager
def members() -> Iterator[Members]:
    made = Members()

    class Handler(Answering):
        def answer(self) -> None:
            if self.command == "GET":
                return self._found(*made.get(self.path))
            made.authorization = self.headers.get("Authorization", "")
            return self._found(*made.post(self.path, json.loads(self.body())))

        def _found(self, status: int, found: Any) -> None:
            self.say(status, (found if isinstance(found, str) else json.dumps(found)).encode())

    with answering(Handler) as url:
        made.url = url
        yield made
