"""A plan handed to somebody else's machinery: signed, with a key that makes repeating harmless."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.outbound import Response
from watchkeeper.ports import Reading

from . import told
from .base import holds, options_of, untouched
from .web import ACCEPTED, ask


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WebhookOptions:
    """``url`` takes the plan by POST; ``state_url`` answers ``{"state": {...}, "capacity": {...}}``."""

    url: SecretStr  #: holds a token more often than not
    state_url: SecretStr = SecretStr("")  #: empty: the state cannot be read, there is no way back, class A4
    state_method: Literal["GET", "POST"] = "GET"
    secret: SecretStr = SecretStr("")  #: key of the signature; empty: not signed
    risk: Literal["A0", "A1", "A2", "A3", "A4"] = "A3"
    floor: Annotated[float, Field(ge=0)] = 0
    allow_private: bool = False  #: the receiver is on this machine or in a private network
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0


class Webhook:
    """Desired state: whatever the rule's ``state`` parameter says, key by key of the receiver's own state."""

    risk = RiskClass.A3
    capabilities: ClassVar[tuple[str, ...]] = ("set",)
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = WebhookOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(WebhookOptions, settings, "webhook")
        url = options.state_url.get_secret_value()
        if not url:
            return told.nothing_told()
        response = _ask(options, options.state_method, url, b"", {})
        if response.status not in ACCEPTED:
            raise ActionError(f"{target.name}: the state is not told, status {response.status}")
        return told.reading_of(target.name, response.body)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        return told.desired_of(reading, parameters)

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(WebhookOptions, settings, "webhook")
        return told.impact_of(reading, desired, options)

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return bool(reading.state) and holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """The receiver's word is a 2xx; whether the symptom is gone is measured elsewhere."""
        options = options_of(WebhookOptions, settings, "webhook")
        body = json.dumps(
            {
                "operation": intent.operation,
                "desired": dict(desired),
                "plan": dict(intent.plan),
                "plan_hash": intent.plan_hash,
                "token": intent.token,
                "idempotency_key": intent.idempotency_key,
            },
            sort_keys=True,
            default=str,
        ).encode()
        headers = {"content-type": "application/json", "idempotency-key": intent.idempotency_key}
        headers |= signature(options.secret.get_secret_value(), body, int(time.time()))
        response = _ask(options, "POST", options.url.get_secret_value(), body, headers)
        if response.status not in ACCEPTED:
            raise ActionError(f"the receiver answered {response.status}", unknown=response.status >= 500)
        return {"status": response.status, "token": intent.token}


def signature(secret: str, body: bytes, at: int) -> dict[str, str]:
    """HMAC-SHA256 over the time in seconds, a dot, and the body."""
    if not secret:
        return {}
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return {"x-watchkeeper-timestamp": str(at), "x-watchkeeper-signature": f"sha256={digest}"}


def _ask(options: WebhookOptions, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
    return ask(
        method,
        url,
        what="receiver",
        headers=headers,
        content=body,
        timeout=options.timeout_seconds,
        allow_private=options.allow_private,
    )
