"""Talks to an AI agent as a customer would, and compares its answers with what they must be."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError, OutboundError
from watchkeeper.outbound import Outbound

from .answers import Expected, as_expected, check_pattern, found, parsed
from .base import STRICT, Reading
from .kpi_http import at_path
from .probe import Probe, Tried, failed, number

#: Where an OpenAI-style answer keeps its text and its tokens.
OPENAI = {
    "answer": "choices.0.message.content",
    "input": "usage.prompt_tokens",
    "output": "usage.completion_tokens",
}


@dataclass(kw_only=True, config=STRICT)
class Turn:
    """One question, and what makes its answer good. All that is given must hold."""

    name: str
    ask: str
    contains: list[str] = field(default_factory=list)  #: texts that must all be in the answer, in any case
    lacks: list[str] = field(default_factory=list)  #: texts that must not be in it, in any case
    expect: str = ""  #: RE2 pattern that must be found in the answer
    expect_json: dict[str, Expected] = field(default_factory=dict)  #: the answer is JSON: path -> value
    max_seconds: float | None = Field(default=None, gt=0)  #: a slower answer is a failure

    def __post_init__(self) -> None:
        check_pattern(self.expect, "expect")


@dataclass(kw_only=True, config=STRICT)
class ConversationProbe(Probe):
    """A conversation of some turns over HTTP: right answers, time, tokens and cost of each.

    Good for: agents behind an OpenAI-style chat API, or any API that takes a question as JSON. Not for: judging how
    well something is said.
    """

    KIND: ClassVar[str] = "conversation_probe"
    GRACE: ClassVar[float] = 0.5

    url: str  #: whole address, for example https://agent/v1/chat/completions
    api: Literal["openai", "json"] = "openai"  #: messages with history, or `body` with the question in it
    model: str = ""  #: for openai
    system: str = ""  #: for openai: the first message
    body: dict[str, Any] = field(default_factory=dict)  #: more to send; `json`: "{{question}}" in it is the question
    answer_path: str = ""  #: where the answer's text is in the JSON that comes back; openai knows
    input_tokens_path: str = ""  #: where the number of tokens read is
    output_tokens_path: str = ""  #: where the number of tokens written is
    headers: dict[str, SecretStr] = field(default_factory=dict)
    token: SecretStr = SecretStr("")  #: bearer token; or token_file
    turns: list[Turn] = Field(min_length=1)  #: in order; the first failure ends the conversation
    timeout: float = Field(default=60.0, gt=0, le=300)  #: seconds for the whole conversation
    max_bytes: int = Field(default=1 << 20, gt=0)  #: largest answer
    input_price: float | None = Field(default=None, ge=0)  #: of a million tokens read
    output_price: float | None = Field(default=None, ge=0)  #: of a million tokens written
    currency: str = Field(default="CNY", pattern=r"^[A-Z]{3}$")

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host/path or https://...")
        names = [turn.name for turn in self.turns]
        if len(set(names)) != len(names):
            raise ValueError("turns must have different names")
        if self.api == "json" and "{{question}}" not in json.dumps(self.body):
            raise ValueError('body must hold "{{question}}" where the question goes')
        if self.api == "json" and not self.answer_path:
            raise ValueError("answer_path must say where the answer is in the JSON that comes back")
        super().__post_init__()

    def place(self) -> str:
        where = self.url.split("?", 1)[0].split("#", 1)[0]
        host = urlsplit(where).netloc
        return where.replace(host, host.rpartition("@")[2], 1)

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:  # noqa: ARG002  # a probe's shape
        headers = self._headers()
        said: list[dict[str, str]] = [{"role": "system", "content": self.system}] if self.system else []
        readings: list[Reading] = []
        tokens = {"input": 0.0, "output": 0.0}
        reason, started = "", time.monotonic()
        for turn in self.turns:
            said.append({"role": "user", "content": turn.ask})
            began = time.monotonic()
            left = max(self.timeout - (began - started), 0.001)
            text, reason, document = await self._ask(outbound, headers, self._question(said, turn), left)
            seconds = time.monotonic() - began
            reason = reason or _verdict(turn, text, seconds)
            readings += self._told(turn, seconds, reason, document, tokens)
            if reason:
                break
            said.append({"role": "assistant", "content": text})
        readings += self._cost(tokens)
        return failed(reason, readings, turn=turn.name) if reason else (True, readings)

    def _headers(self) -> dict[str, str]:
        sent = {name: value.get_secret_value() for name, value in self.headers.items()}
        if token := self.token.get_secret_value():
            sent["authorization"] = f"Bearer {token}"
        return {"content-type": "application/json", "accept": "application/json", **sent}

    async def _ask(
        self, outbound: Outbound, headers: Mapping[str, str], question: Any, left: float
    ) -> tuple[str, str, Any]:
        """(the answer's text, why there is none, everything that came back)."""
        try:
            answer = await outbound.request(
                "POST",
                self.url,
                headers=headers,
                content=json.dumps(question, ensure_ascii=False).encode(),
                timeout=left,
                max_bytes=self.max_bytes,
            )
        except OutboundError as error:
            return "", error.reason, None
        if answer.status != 200:
            return "", "status", None
        try:
            document = parsed(answer.body)
            text = at_path(document, self.answer_path or OPENAI["answer"])
        except CollectError:
            return "", "json", None
        return (text, "", document) if isinstance(text, str) else (json.dumps(text), "", document)

    def _question(self, said: list[dict[str, str]], turn: Turn) -> Any:
        if self.api == "json":
            return _filled(self.body, turn.ask)
        return {**({"model": self.model} if self.model else {}), **self.body, "messages": said}

    def _told(self, turn: Turn, seconds: float, reason: str, document: Any, tokens: dict[str, float]) -> list[Reading]:
        own = (("turn", turn.name),)
        rows: list[Reading] = [
            ("probe_conversation_turn_success", own, float(not reason)),
            ("probe_conversation_turn_duration_seconds", own, seconds),
        ]
        paths = {"input": self.input_tokens_path, "output": self.output_tokens_path}
        for kind, path in paths.items():
            count = _figure(document, path or (OPENAI[kind] if self.api == "openai" else ""))
            if count is not None:
                tokens[kind] += count
                rows.append(("probe_conversation_tokens", (("kind", kind), *own), count))
        return rows

    def _cost(self, tokens: Mapping[str, float]) -> list[Reading]:
        if self.input_price is None and self.output_price is None:
            return []
        cost = tokens["input"] * (self.input_price or 0.0) + tokens["output"] * (self.output_price or 0.0)
        return [("probe_conversation_cost", (("currency", self.currency),), cost / 1e6)]


def _verdict(turn: Turn, text: str, seconds: float) -> str:
    folded = text.casefold()
    wanted = all(word.casefold() in folded for word in turn.contains)
    if not wanted or any(word.casefold() in folded for word in turn.lacks) or not found(turn.expect, text):
        return "body"
    if turn.expect_json:
        try:
            if not as_expected(parsed(text.encode()), turn.expect_json):
                return "body"
        except CollectError:
            return "body"
    return "slow" if turn.max_seconds is not None and seconds > turn.max_seconds else ""


def _figure(document: Any, path: str) -> float | None:
    if document is None or not path:
        return None
    try:
        return number(at_path(document, path))
    except CollectError:
        return None


def _filled(part: Any, question: str) -> Any:
    """The body with the question in its place, at any depth."""
    if isinstance(part, dict):
        return {key: _filled(inner, question) for key, inner in part.items()}
    if isinstance(part, list):
        return [_filled(inner, question) for inner in part]
    return part.replace("{{question}}", question) if isinstance(part, str) else part
