"""How three clouds want requests signed, each by its own published algorithm; a secret never leaves this module."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

#: Headers of a request, signed.
Headers = dict[str, str]


def aws(
    service: str, region: str, host: str, headers: Mapping[str, str], body: bytes, key: str, secret: str, now: datetime
) -> Headers:
    """AWS Signature Version 4 of a POST to ``/``."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "host": host, "x-amz-date": stamp}
    names, canonical = _canonical("", sent, body)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{_sha(canonical.encode())}"
    signing = f"AWS4{secret}".encode()
    for word in (stamp[:8], region, service, "aws4_request"):
        signing = _mac(signing, word)
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={_mac(signing, text).hex()}"
    )
    return sent


def tencent(
    service: str, host: str, headers: Mapping[str, str], body: bytes, key: str, secret: str, now: datetime
) -> Headers:
    """Tencent Cloud TC3-HMAC-SHA256 of a POST to ``/``: content type, host and action are signed."""
    stamp, day = str(int(now.timestamp())), now.astimezone(UTC).strftime("%Y-%m-%d")
    sent = {**headers, "host": host, "x-tc-timestamp": stamp}
    signed: Headers = {name: sent[name].lower() for name in ("content-type", "host", "x-tc-action") if name in sent}
    names, canonical = _canonical("", signed, body)
    scope = f"{day}/{service}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{_sha(canonical.encode())}"
    signing = f"TC3{secret}".encode()
    for word in (day, service, "tc3_request"):
        signing = _mac(signing, word)
    sent["authorization"] = (
        f"TC3-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={_mac(signing, text).hex()}"
    )
    return sent


def aliyun(
    action: str, version: str, host: str, query: str, key: str, secret: str, now: datetime, nonce: str = ""
) -> Headers:
    """Alibaba Cloud ACS3-HMAC-SHA256 of a POST to ``/`` whose parameters are its ``canonical_query``."""
    sent = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": _sha(b""),
        "x-acs-date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
        "x-acs-version": version,
    }
    names, canonical = _canonical(query, sent, b"")
    proof = _mac(secret.encode(), f"ACS3-HMAC-SHA256\n{_sha(canonical.encode())}").hex()
    sent["authorization"] = f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={proof}"
    return sent


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Parameters in the order and with the escapes in which they are signed."""
    rows = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in rows)


def _canonical(query: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """(names of the signed headers, the request as all three write it down)."""
    rows = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in rows)
    lines = "".join(f"{name}:{value}\n" for name, value in rows)
    return names, f"POST\n/\n{query}\n{lines}\n{names}\n{_sha(body)}"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
