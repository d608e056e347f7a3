"""DingTalk custom robot: signed query, markdown, mentions."""

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

from watchkeeper.clock import SystemClock, to_ms
from watchkeeper.config.types import Duration
from watchkeeper.errors import DeliveryError
from watchkeeper.model import Message
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt

from .base import STRICT, Language, check_host, json_of, judge_code, post, query_value, secret_of, stated_wait, to_json
from .markdown import headline, markdown_links
from .text import clip, fit, inert

OFFICIAL = frozenset({"oapi.dingtalk.com", "oapi.dingtalk.io"})
#: "message too long, exceed 20000 bytes": the whole body.
LIMIT = 20_000


def sign(secret: str, timestamp_ms: int) -> str:
    """base64(HMAC-SHA256(secret, "timestamp\\nsecret")), not yet URL-encoded."""
    digest = hmac.new(secret.encode(), f"{timestamp_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Dingtalk:
    """Sends markdown to one robot. The token is given alone, or as the whole webhook address."""

    token: SecretStr | None = None  #: access_token of the robot
    token_file: Path | None = None
    url: SecretStr | None = None  #: or the whole address as DingTalk shows it
    url_file: Path | None = None
    secret: SecretStr | None = None  #: sign secret (SEC...); none: the robot uses keywords or IP ranges
    secret_file: Path | None = None
    keyword: str = ""  #: put in front of every title; one of the robot's keywords
    language: Language = "zh-CN"
    mobiles: tuple[str, ...] = ()  #: mentioned in P0 and P1 messages
    users: tuple[str, ...] = ()  #: user ids mentioned in P0 and P1 messages
    base_url: str = "https://oapi.dingtalk.com"
    allow_hosts: tuple[str, ...] = ()  #: further hosts that may be sent to
    timeout: Duration = timedelta(seconds=10)
    now: Callable[[], datetime] = SystemClock().now  #: for the signature; not an option of the file

    def __post_init__(self) -> None:
        self._address()
        secret_of(self.secret, self.secret_file, "secret")

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:
        """Signed anew at each try: a signature lives one hour. ``msgUuid`` lets DingTalk drop a repeat."""
        response = await post(
            outbound, self._signed(), to_json(self.body(message, key)), timeout=self.timeout.total_seconds()
        )
        answer = json_of(response)
        if "errcode" not in answer and answer.get("status") == 1111:
            wait = answer.get("wait")
            raise DeliveryError(
                "dingtalk 1111: flood control",
                retry_after=stated_wait(wait) if isinstance(wait, int) else 60.0,
                code="1111",
            )
        return judge_code("dingtalk", answer.get("errcode"), response)

    def body(self, message: Message, key: str) -> dict[str, Any]:
        title = clip(headline(message, self.keyword), 300)
        lines = [inert(line) for line in message.lines]
        return self._body(
            message, key, title, fit(lines, lambda some: self._size(message, key, title, some), LIMIT, self.language)
        )

    def _size(self, message: Message, key: str, title: str, lines: Sequence[str]) -> int:
        return len(to_json(self._body(message, key, title, lines)))

    def _body(self, message: Message, key: str, title: str, lines: Sequence[str]) -> dict[str, Any]:
        urgent = message.severity is not None and message.severity.rank <= 1 and message.kind != "resolved"
        mobiles = list(self.mobiles) if urgent else []
        users = list(self.users) if urgent else []
        mentions = " ".join(f"@{who}" for who in (*mobiles, *users))
        parts = [f"### {title}", *(f"- {line}" for line in lines), *markdown_links(message), mentions]
        return {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": "\n\n".join(part for part in parts if part)},
            "at": {"atMobiles": mobiles, "atUserIds": users, "isAtAll": message.mention_all},
            "msgUuid": key,
        }

    def _address(self) -> tuple[str, str]:
        """(base, token)"""
        url = secret_of(self.url, self.url_file, "url")
        token = query_value(url, "access_token") if url else secret_of(self.token, self.token_file, "token")
        if not token:
            raise ValueError("give token, token_file, url or url_file; DingTalk shows it when the robot is made")
        base = url.partition("/robot/send")[0] if url else self.base_url.rstrip("/")
        check_host(base, OFFICIAL, self.allow_hosts)
        return base, token

    def _signed(self) -> str:
        base, token = self._address()
        url = f"{base}/robot/send?access_token={quote(token, safe='')}"
        secret = secret_of(self.secret, self.secret_file, "secret")
        if not secret:
            return url
        timestamp = to_ms(self.now())
        return f"{url}&timestamp={timestamp}&sign={quote(sign(secret, timestamp), safe='')}"
