"""Against a real HTTP receiver that keeps a state of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.remedies import PLAN, intent_of

from remediation.actions.webhook import Webhook
from watchkeeper.errors import ActionError
from watchkeeper.model import RiskClass, Target

KIND, TARGET = Webhook(), Target(kind="webhook", name="hook")


class Receiver:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {"replicas": 3}
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.answer = 200, b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = receiver.answer or json.dumps({"state": receiver.state, "capacity": {"total": 3}}).encode()
                self._reply(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                receiver.state.update(json.loads(body)["desired"])
                self._reply(b"{}")

            def _reply(self, body: bytes) -> None:
                self.send_response(receiver.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.target = {"name": "hook", "url": url, "state_url": url, "secret": "s3cret", "allow_private": True}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join(5)


def test_the_plan_arrives_signed_with_its_key_and_the_state_follows(receiver: Receiver) -> None:
    reading = KIND.read(TARGET, receiver.target)
    desired, rollback = KIND.desired(reading, {"state": {"replicas": 5}})
    assert rollback == {"replicas": 3}
    intent = intent_of(PLAN)
    KIND.apply(desired, intent, receiver.target)
    headers, body = receiver.got[0]
    assert headers["idempotency-key"] == intent.idempotency_key
    signed = headers["x-watchkeeper-timestamp"].encode() + b"." + body
    assert headers["x-watchkeeper-signature"] == "sha256=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert KIND.reached(KIND.read(TARGET, receiver.target), desired)
    assert KIND.ours(KIND.read(TARGET, receiver.target), rollback, desired)
    assert not KIND.ours(KIND.read(TARGET, receiver.target), {"replicas": 1}, {"replicas": 2})


@pytest.mark.parametrize(("status", "unknown"), [(400, False), (503, True), (302, False)])
def test_only_a_success_is_a_success(receiver: Receiver, status: int, *, unknown: bool) -> None:
    receiver.status = status
    with pytest.raises(ActionError, match=str(status)) as caught:
        KIND.apply({"replicas": 5}, intent_of(PLAN), receiver.target)
    assert caught.value.unknown is unknown
    with pytest.raises(ActionError, match=str(status)):
        KIND.read(TARGET, receiver.target)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"[]", b"no", b"{}", b'{"state": 1}', b'{"state": {"mode": NaN}}'),
        *(
            b'{"state": {}, "capacity": {"total": %s}}' % figure
            for figure in (b'"x"', b"NaN", b"1e999", b"-1", b"true")
        ),
    ],
)
def test_an_answer_that_is_no_state_is_an_error(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = answer
    with pytest.raises(ActionError, match=r"not a mapping|cannot be read"):
        KIND.read(TARGET, receiver.target)


@pytest.mark.parametrize(
    ("told", "floor", "healthy"),
    [("{}", 0, 1), ("{}", 2, 0), ('{"total": 3}', 0, 0), ('{"total": 3, "healthy": 2}', 2, 2)],
)
def test_members_that_nothing_is_said_of_are_not_healthy(
    receiver: Receiver, told: str, floor: int, healthy: int
) -> None:
    receiver.answer = b'{"state": {"mode": "full"}, "capacity": %s}' % told.encode()
    reading = KIND.read(TARGET, receiver.target)
    assert KIND.impact(reading, {"mode": "cached"}, {**receiver.target, "floor": floor}).healthy_after == healthy


def test_a_private_address_is_reached_only_when_its_owner_says_so(receiver: Receiver) -> None:
    closed = {**receiver.target, "allow_private": False}
    with pytest.raises(ActionError, match="refused_address") as caught:
        KIND.apply({"replicas": 5}, intent_of(PLAN), closed)
    assert not caught.value.unknown
    assert receiver.got == []


def test_what_cannot_be_read_has_no_way_back() -> None:
    blind = {"name": "hook", "url": "http://127.0.0.1:1"}
    reading = KIND.read(TARGET, blind)
    assert KIND.desired(reading, {"state": {"replicas": 5}}) == ({"replicas": 5}, {})
    assert not KIND.reached(reading, {})
    with pytest.raises(ActionError, match="unknown parameter"):
        KIND.desired(reading, {"replicas": 5})


def test_the_impact_follows_the_declared_class() -> None:
    options = {"name": "hook", "url": "http://x", "risk": "A2"}
    reading = KIND.read(TARGET, options)
    impact = KIND.impact(reading, {"replicas": 5}, options)
    assert (impact.risk, impact.touched) == (RiskClass.A2, ("replicas",))
