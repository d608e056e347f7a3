"""What the senders share: strict options, hosts, secrets from files, one POST, and answers decided by their body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import ConfigDict, SecretStr

from watchkeeper.errors import DeliveryError, OutboundError
from watchkeeper.outbound import Outbound, Response
from watchkeeper.ports import Receipt

#: Unknown options are mistakes; what was typed never appears in a complaint, for it may be a secret.
STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)
Language = Literal["zh-CN", "en"]
#: Statuses that say "later"; other 4xx say "never".
LATER = frozenset({408, 425, 429})
#: Longest wait in seconds that a receiver may ask for.
LONGEST_WAIT = 3600
#: Codes of DeliveryError that leave open whether the message arrived.
UNSURE = frozenset({"timeout", "broken"})


class ChannelOffError(DeliveryError):
    """The receiver is gone for good (robot removed, token revoked): nothing sent there can arrive any more."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message, permanent=True, code=code)


def secret_of(value: SecretStr | None, file: Path | None, name: str) -> str:
    """The secret from the option or from its file; empty when neither is given."""
    if value is not None and file is not None:
        raise ValueError(f"give {name} or {name}_file, not both")
    if file is None:
        return value.get_secret_value().strip() if value else ""
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"cannot read {name}_file: {type(error).__name__}") from None


def check_host(url: str, official: frozenset[str], allowed: tuple[str, ...]) -> None:
    """Only the official hosts over HTTPS, unless the owner of the file allows another by name."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.username or parts.password:
        raise ValueError("the address must not hold a user or password")
    if host in allowed and parts.scheme in ("http", "https"):
        return
    if host not in official or parts.scheme != "https" or parts.port not in (None, 443):
        known = ", ".join(sorted(official)) or "none"
        raise ValueError(f"host is not one of {known}; name it in allow_hosts to send there all the same")


def query_value(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


def to_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def post(outbound: Outbound, url: str, content: bytes, *, timeout: float, **headers: str) -> Response:
    """One POST of JSON. The error names no address: the address is the credential."""
    sent = {"content-type": "application/json; charset=utf-8"} | {k.replace("_", "-"): v for k, v in headers.items()}
    try:
        return await outbound.request("POST", url, headers=sent, content=content, timeout=timeout)
    except OutboundError as error:
        raise _unsent(error) from None


def _unsent(error: OutboundError) -> DeliveryError:
    """Refused addresses stay refused; a connection never made is not a possible repeat, a broken one is."""
    if error.reason == "refused_address":
        return DeliveryError("the address of the receiver may not be reached", permanent=True, code=error.reason)
    if error.reason == "tls":
        return DeliveryError("the receiver's TLS certificate is not accepted", code="tls")
    never = error.reason == "connect" and any(
        word in str(error) for word in ("attempts failed", "cannot resolve", "refused", "no address")
    )
    code = "connect" if never else "timeout" if error.reason == "timeout" else "broken"
    words = {
        "connect": "no connection to the receiver",
        "timeout": "no answer in time",
        "broken": "the answer broke off",
    }
    return DeliveryError(words[code], code=code)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of a table of codes."""

    meaning: str
    kind: str  #: retry | failed | off
    wait: float | None = None  #: seconds


@cache
def table(kind: str) -> Mapping[str, Verdict]:
    rows = json.loads(files("notifiers").joinpath("codes.json").read_text("utf-8"))[kind]
    return {code: Verdict(**row) for code, row in rows.items()}


def judge_status(response: Response) -> None:
    """Raise for any status but 2xx. Redirects are never followed and may be a proxy's passing mood."""
    status = response.status
    if 200 <= status < 300:
        return
    code = f"http_{status}"
    if 300 <= status < 400:
        raise DeliveryError(f"the receiver answered with a redirect ({status}), which is not followed", code=code)
    if status >= 500 or status in LATER:
        raise DeliveryError(f"HTTP {status}", retry_after=retry_after(response), code=code)
    raise DeliveryError(f"HTTP {status}", permanent=True, code=code)


def stated_wait(seconds: int) -> float:
    """Seconds to wait as the receiver says, within reason."""
    return float(min(max(seconds, 0), LONGEST_WAIT))


def retry_after(response: Response) -> float | None:
    for name in ("x-ogw-ratelimit-reset", "retry-after"):
        value = response.headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,9}", value):
            return stated_wait(int(value))
    return None


def json_of(response: Response) -> dict[str, Any]:
    """The body as an object; empty when it is anything else."""
    try:
        found = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def judge_code(kind: str, code: object, response: Response, wait: float | None = None) -> Receipt:
    """Success only for code 0 with a 2xx; everything else by the table, and by the status when there is no code."""
    if code is None:
        if 400 <= response.status < 500 and response.status not in LATER:  # a proxy's page: robots state a code
            raise DeliveryError(f"HTTP {response.status} without a code", code=f"http_{response.status}")
        judge_status(response)
        raise DeliveryError("the answer is not the robot's: no code in it", code="no_code")
    if code == 0 and not isinstance(code, bool):
        judge_status(response)
        return Receipt(code="0", detail="ok")
    word = str(code)[:20]
    row = table(kind).get(word, Verdict("unknown code", "retry"))
    text = f"{kind} {word}: {row.meaning}"
    if row.kind == "off":
        raise ChannelOffError(text, code=word)
    later = wait or retry_after(response) or row.wait
    raise DeliveryError(text, permanent=row.kind == "failed", retry_after=later, code=word)
