"""Conversations with an agent that answers over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr
from support.targets import TRUST

from collectors.conversation_probe import ConversationProbe, Turn
from watchkeeper.model import METRIC_NAME, metric_name
from watchkeeper.outbound import Outbound

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@contextmanager
def agent(reply: Callable[[Any], Any]) -> Iterator[tuple[str, list[Any]]]:
    """(address, what was asked with the authorization) of an agent that says ``reply(question)``."""
    asked: list[Any] = []

    class Agent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((question, self.headers.get("authorization")))
            body = json.dumps(reply(question)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests read no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def xiaoai(question: Any) -> Any:
    """Knows the opening hours, and repeats anything else."""
    said = question["messages"][-1]["content"]
    text = "我们 9:00 开门" if "几点" in said else f"you said {said}"
    usage = {"prompt_tokens": 10 * len(question["messages"]), "completion_tokens": 20}
    return {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}


async def shown(part: ConversationProbe, outbound: Outbound) -> dict[str, float]:
    (tick,) = (await part.collect(NOW, outbound)).ticks
    target = {METRIC_NAME, "job", "instance"}
    return {
        "/".join([metric_name(series), *(value for key, value in series if key not in target)]): value
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True)
    }


async def test_a_conversation_keeps_its_history_and_counts_tokens_and_cost(outbound: Outbound) -> None:
    turns = [
        Turn(name="hours", ask="几点开门？", contains=["9:00"], lacks=["抱歉"]),
        Turn(name="echo", ask="hello", expect="said hel+o"),
    ]
    with agent(xiaoai) as (url, asked):
        part = ConversationProbe(
            name="xiaoai", url=url, model="m", system="Be kind.", turns=turns, token=SecretStr("k-1"),
            input_price=2.0, output_price=8.0,
        )  # fmt: skip
        found = await shown(part, outbound)
    assert (found["probe_success"], found["probe_conversation_turn_success/echo"]) == (1.0, 1.0)
    assert [len(question["messages"]) for question, _ in asked] == [2, 4]
    assert {key for _, key in asked} == {"Bearer k-1"}
    assert found["probe_conversation_tokens/input/echo"] == 40.0
    assert found["probe_conversation_cost/CNY"] == pytest.approx((60 * 2.0 + 40 * 8.0) / 1e6)


async def test_a_wrong_answer_ends_the_conversation_at_its_turn(outbound: Outbound) -> None:
    turns = [Turn(name="hours", ask="几点开门？", contains=["10:00"]), Turn(name="echo", ask="hello")]
    with agent(xiaoai) as (url, asked):
        found = await shown(ConversationProbe(url=url, turns=turns), outbound)
    assert (found["probe_success"], found["probe_failure_info/body/hours"], len(asked)) == (0.0, 1.0, 1)


async def test_any_json_api_is_asked_by_its_own_body(outbound: Outbound) -> None:
    with agent(lambda question: {"data": {"reply": {"order": question["q"], "open": True}}}) as (url, asked):
        part = ConversationProbe(
            url=url, api="json", body={"q": "{{question}}", "session": 7}, answer_path="data.reply",
            turns=[Turn(name="t", ask="no. 5", expect_json={"order": "no. 5", "open": True})],
        )  # fmt: skip
        found = await shown(part, outbound)
    assert (found["probe_success"], asked[0][0]) == (1.0, {"q": "no. 5", "session": 7})


async def test_an_answer_in_another_form_is_a_failure_of_the_agent(outbound: Outbound) -> None:
    with agent(lambda _: {"error": "overloaded"}) as (url, _):
        found = await shown(ConversationProbe(url=url, turns=[Turn(name="t", ask="?")]), outbound)
    assert found["probe_failure_info/json/t"] == 1.0


def test_a_body_without_a_place_for_the_question_is_refused() -> None:
    with pytest.raises(ValueError, match="where the question goes"):
        ConversationProbe(url="http://a/", api="json", answer_path="x", turns=[Turn(name="t", ask="?")])
