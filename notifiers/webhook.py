"""A signed POST of JSON to a server of one's own: the way to ticket systems, SMS and voice gateways."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.clock import SystemClock
from watchkeeper.config.types import Duration
from watchkeeper.errors import DeliveryError
from watchkeeper.model import Message
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt

from .base import STRICT, Language, judge_status, post, secret_of, to_json


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """hex(HMAC-SHA256(secret, "timestamp." + body))"""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Webhook:
    """2xx is success, unless the answer is a web page: that is somebody's log-in form."""

    url: SecretStr | None = None
    url_file: Path | None = None
    secret: SecretStr | None = None  #: signs ``X-Watchkeeper-Signature: v1=...`` over time and body
    secret_file: Path | None = None
    bearer: SecretStr | None = None  #: sent as ``Authorization: Bearer ...``
    bearer_file: Path | None = None
    language: Language = "zh-CN"
    timeout: Duration = timedelta(seconds=10)
    now: Callable[[], datetime] = SystemClock().now  #: for the signature; not an option of the file

    def __post_init__(self) -> None:
        if not secret_of(self.url, self.url_file, "url").startswith(("http://", "https://")):
            raise ValueError("give url or url_file with an http or https address")
        secret_of(self.secret, self.secret_file, "secret")
        secret_of(self.bearer, self.bearer_file, "bearer")

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:
        content, timestamp = to_json(self.body(message, key)), int(self.now().timestamp())
        headers = {"idempotency_key": key, "x_watchkeeper_timestamp": str(timestamp)}
        secret, bearer = (
            secret_of(self.secret, self.secret_file, "secret"),
            secret_of(self.bearer, self.bearer_file, "bearer"),
        )
        if secret:
            headers["x_watchkeeper_signature"] = f"v1={sign(secret, timestamp, content)}"
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        url = secret_of(self.url, self.url_file, "url")
        response = await post(outbound, url, content, timeout=self.timeout.total_seconds(), **headers)
        judge_status(response)
        if "text/html" in response.headers.get("content-type", ""):
            raise DeliveryError("the receiver answered with a web page instead of taking the message", code="web_page")
        return Receipt(code=str(response.status), detail="ok")

    @staticmethod
    def body(message: Message, key: str) -> dict[str, Any]:
        return {
            "version": 1,
            "key": key,
            "kind": message.kind,
            "severity": message.severity,
            "title": message.title,
            "lines": list(message.lines),
            "links": dict(message.links),
            "at": message.at.isoformat(),
            "language": message.language,
            "subject_id": message.subject_id,
            "attachments": [
                {"name": name, "mime": mime, "bytes": len(data)} for name, mime, data in message.attachments
            ],
        }
