"""Is a delivery really of whoever shares the secret, and of now? Every comparison takes the same time.

``watchkeeper``: HMAC-SHA256 over time stamp and body, at most five minutes old. Other senders sign as they document:
GitHub and Gitea the body, Gitee the time stamp, GitLab, Jenkins, Argo CD and Alertmanager show the secret itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from watchkeeper.errors import AccessError

#: How far a signed time stamp may lie from our clock.
WINDOW = timedelta(minutes=5)
TIMESTAMP, SIGNATURE = "x-watchkeeper-timestamp", "x-watchkeeper-signature"
_DIGITS = re.compile(r"[0-9]{1,16}")

#: headers in lower case, body, secret, now -> raises AccessError
Verify = Callable[[Mapping[str, str], bytes, str, datetime], None]


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The header ``X-Watchkeeper-Signature`` of a body sent at this second since the epoch."""
    return "v1=" + _hex(secret, str(timestamp).encode() + b"." + body)


def ours(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    timestamp = headers.get(TIMESTAMP, "")
    _fresh(timestamp, 1.0, now)
    _same(headers.get(SIGNATURE, ""), "v1=" + _hex(secret, timestamp.encode() + b"." + body))


def github(headers: Mapping[str, str], body: bytes, secret: str, _now: datetime) -> None:
    _same(headers.get("x-hub-signature-256", ""), "sha256=" + _hex(secret, body))


def gitea(headers: Mapping[str, str], body: bytes, secret: str, _now: datetime) -> None:
    _same(headers.get("x-gitea-signature", ""), _hex(secret, body))


def gitee(headers: Mapping[str, str], _body: bytes, secret: str, now: datetime) -> None:
    """Gitee signs its time stamp in milliseconds, not the body; some versions send the signature URL-encoded."""
    timestamp = headers.get("x-gitee-timestamp", "")
    _fresh(timestamp, 1000.0, now)
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    given = headers.get("x-gitee-token", "")
    _same(urllib.parse.unquote(given) if "%" in given else given, base64.b64encode(digest).decode())


def gitlab(headers: Mapping[str, str], _body: bytes, secret: str, _now: datetime) -> None:
    _same(headers.get("x-gitlab-token", ""), secret)


def ours_or_secret(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Our signature; from senders that cannot sign, the secret as bearer token or password of basic authentication."""
    if SIGNATURE in headers:
        ours(headers, body, secret, now)
    else:
        _same(_shown(headers.get("authorization", "")), secret)


def _shown(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return rest.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _fresh(timestamp: str, per_second: float, now: datetime) -> None:
    if not _DIGITS.fullmatch(timestamp):
        raise AccessError("the delivery has no time stamp of digits")
    if abs(int(timestamp) / per_second - now.timestamp()) > WINDOW.total_seconds():
        raise AccessError("the delivery's time stamp is more than five minutes off; look at both clocks")


def _same(given: str, wanted: str) -> None:
    if not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
        raise AccessError("the delivery is not signed with this webhook's secret")


def _hex(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
