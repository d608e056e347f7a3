"""Feishu and Lark custom bot: an interactive card, signed in the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.clock import SystemClock
from watchkeeper.config.types import Duration
from watchkeeper.model import Message, Severity
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt

from .base import STRICT, Language, check_host, json_of, judge_code, post, secret_of, to_json
from .markdown import headline, safe_links
from .text import clip, fit, inert

OFFICIAL = frozenset({"open.feishu.cn", "open.larksuite.com"})
#: 20 KB of body, with room for timestamp and sign.
LIMIT = 20_000 - 150
_HOOK = "/open-apis/bot/v2/hook/"
_COLOURS = {Severity.P0: "red", Severity.P1: "red", Severity.P2: "orange", Severity.P3: "blue"}


def sign(secret: str, timestamp: int) -> str:
    """base64(HMAC-SHA256(key = "timestamp\\nsecret", message empty)): swapped against DingTalk's."""
    digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Feishu:
    """Sends cards to one bot. The token is given alone, or as the whole webhook address."""

    token: SecretStr | None = None  #: last part of the webhook address
    token_file: Path | None = None
    url: SecretStr | None = None  #: or the whole address as Feishu shows it
    url_file: Path | None = None
    secret: SecretStr | None = None  #: sign secret; none: the bot uses keywords or IP addresses
    secret_file: Path | None = None
    keyword: str = ""  #: put in front of every title; one of the bot's keywords
    language: Language = "zh-CN"
    users: tuple[str, ...] = ()  #: open ids mentioned in P0 and P1 messages
    base_url: str = "https://open.feishu.cn"
    allow_hosts: tuple[str, ...] = ()  #: further hosts that may be sent to
    timeout: Duration = timedelta(seconds=10)
    now: Callable[[], datetime] = SystemClock().now  #: for the signature; not an option of the file

    def __post_init__(self) -> None:
        self._address()
        secret_of(self.secret, self.secret_file, "secret")

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:  # noqa: ARG002 - no such field
        body = self.body(message) | self._signature()
        response = await post(outbound, self._address(), to_json(body), timeout=self.timeout.total_seconds())
        answer = json_of(response)
        return judge_code("feishu", answer.get("code", answer.get("StatusCode")), response)

    def body(self, message: Message) -> dict[str, Any]:
        lines = [inert(line) for line in message.lines]
        return self._card(
            message, fit(lines, lambda some: len(to_json(self._card(message, some))), LIMIT, self.language)
        )

    def _card(self, message: Message, lines: Sequence[str]) -> dict[str, Any]:
        colour = "green" if message.kind == "resolved" else "blue"
        if message.severity is not None and message.kind != "resolved":
            colour = _COLOURS[message.severity]
        elements: list[dict[str, Any]] = []
        if lines:
            elements.append({"tag": "div", "text": _plain("\n".join(lines))})
        buttons = [
            {"tag": "button", "text": _plain(text), "url": url, "type": "default"} for text, url in safe_links(message)
        ]
        if buttons:
            elements.append({"tag": "action", "actions": buttons})
        mentions = self._mentions(message)
        if mentions:
            elements.append({"tag": "div", "text": {"tag": "lark_md", "content": mentions}})
        header = {"title": _plain(clip(headline(message, self.keyword), 300)), "template": colour}
        return {"msg_type": "interactive", "card": {"header": header, "elements": elements}}

    def _mentions(self, message: Message) -> str:
        urgent = message.severity is not None and message.severity.rank <= 1 and message.kind != "resolved"
        found = ["<at id=all></at>"] if message.mention_all else []
        return "".join(found + [f"<at id={user}></at>" for user in (self.users if urgent else ())])

    def _signature(self) -> dict[str, str]:
        secret = secret_of(self.secret, self.secret_file, "secret")
        timestamp = int(self.now().timestamp())
        return {"timestamp": str(timestamp), "sign": sign(secret, timestamp)} if secret else {}

    def _address(self) -> str:
        url = secret_of(self.url, self.url_file, "url")
        base, _, token = url.partition(_HOOK) if url else (self.base_url.rstrip("/"), "", "")
        token = token.strip("/") if url else secret_of(self.token, self.token_file, "token")
        if not token or not token.replace("-", "").replace("_", "").isalnum():
            raise ValueError("give token, token_file, url or url_file; Feishu shows it when the bot is made")
        check_host(base, OFFICIAL, self.allow_hosts)
        return f"{base}{_HOOK}{quote(token, safe='')}"


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}
