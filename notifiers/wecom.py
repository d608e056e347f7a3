"""WeCom group robot: markdown, or plain text when people are mentioned by number or all at once. There is no sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration
from watchkeeper.model import Message
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt

from .base import STRICT, Language, check_host, json_of, judge_code, post, query_value, secret_of, to_json
from .markdown import headline, markdown_links, safe_links
from .text import clip, fit, inert

OFFICIAL = frozenset({"qyapi.weixin.qq.com"})
#: Bytes of content.
TEXT_LIMIT, MARKDOWN_LIMIT = 2048, 4096


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Wecom:
    """Sends to one robot. The key is given alone, or as the whole webhook address."""

    key: SecretStr | None = None
    key_file: Path | None = None
    url: SecretStr | None = None  #: or the whole address as WeCom shows it
    url_file: Path | None = None
    keyword: str = ""  #: put in front of every title
    language: Language = "zh-CN"
    users: tuple[str, ...] = ()  #: user ids mentioned in P0 and P1 messages
    mobiles: tuple[str, ...] = ()  #: mentioned in P0 and P1 messages, which are plain text then
    base_url: str = "https://qyapi.weixin.qq.com"
    allow_hosts: tuple[str, ...] = ()  #: further hosts that may be sent to
    timeout: Duration = timedelta(seconds=10)

    def __post_init__(self) -> None:
        self._address()

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:  # noqa: ARG002 - no such field
        """WeCom has no idempotency key: what may be a repeat is marked in its text by the delivery."""
        content = to_json(self.body(message))
        response = await post(outbound, self._address(), content, timeout=self.timeout.total_seconds())
        return judge_code("wecom", json_of(response).get("errcode"), response)

    def body(self, message: Message) -> dict[str, Any]:
        urgent = message.severity is not None and message.severity.rank <= 1 and message.kind != "resolved"
        if message.mention_all or (urgent and self.mobiles):
            return self._text(message, urgent=urgent)
        title, mentions = clip(headline(message, self.keyword), 300), ""
        if urgent:
            mentions = "".join(f"<@{user}>" for user in self.users)

        def content(lines: Sequence[str]) -> str:
            parts = [f"### {title}", *(f"> {line}" for line in lines), *markdown_links(message), mentions]
            return "\n".join(part for part in parts if part)

        return {"msgtype": "markdown", "markdown": {"content": self._fitted(message, content, MARKDOWN_LIMIT)}}

    def _text(self, message: Message, *, urgent: bool) -> dict[str, Any]:
        title = clip(headline(message, self.keyword), 300)
        links = [f"{text}: {url}" for text, url in safe_links(message)]
        text: dict[str, Any] = {
            "content": self._fitted(message, lambda lines: "\n".join([title, *lines, *links]), TEXT_LIMIT),
            "mentioned_list": [*(self.users if urgent else ()), *(["@all"] if message.mention_all else [])],
            "mentioned_mobile_list": list(self.mobiles) if urgent else [],
        }
        return {"msgtype": "text", "text": text}

    def _fitted(self, message: Message, content: Any, limit: int) -> str:
        lines = [inert(line) for line in message.lines]
        return str(content(fit(lines, lambda some: len(content(some).encode()), limit, self.language)))

    def _address(self) -> str:
        url = secret_of(self.url, self.url_file, "url")
        key = query_value(url, "key") if url else secret_of(self.key, self.key_file, "key")
        if not key:
            raise ValueError("give key, key_file, url or url_file; WeCom shows it when the robot is made")
        base = url.partition("/cgi-bin/")[0] if url else self.base_url.rstrip("/")
        check_host(base, OFFICIAL, self.allow_hosts)
        return f"{base}/cgi-bin/webhook/send?key={quote(key, safe='')}"
