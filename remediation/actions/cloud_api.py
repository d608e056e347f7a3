"""Signed requests to three clouds from a thread: what was asked is harmless, what changes something may end unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper import cloud_sign
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.outbound import Response

from . import said
from .base import mapping
from .web import ACCEPTED, ask, document, told

MAX_BYTES = 4 << 20
FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CloudOptions:
    """Who asks, and where. The secret is never sent: it signs."""

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]  #: such as eu-central-1, cn-hangzhou, ap-guangzhou
    access_key: Annotated[str, Field(min_length=1)]  #: id of the key, which is no secret
    secret: SecretStr = SecretStr("")
    secret_file: str = ""  #: file with the secret, read for every request
    endpoint: Annotated[str, Field(pattern=r"^(https?://[^\s/]+)?$")] = ""  #: empty: the cloud's own
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0  #: for each request

    def __post_init__(self) -> None:
        if bool(self.secret.get_secret_value()) == bool(self.secret_file):
            raise ValueError("write secret or secret_file, one of the two")


def aws(
    options: CloudOptions,
    service: str,
    version: str,
    action: str,
    parameters: Mapping[str, str],
    *,
    effect: bool = False,
) -> ET.Element:
    """The ``...Result`` of an answer of Amazon's query protocol, its names without their namespace."""
    body = cloud_sign.canonical_query({"Action": action, "Version": version, **parameters}).encode()
    url = options.endpoint or f"https://{service}.{options.region}.amazonaws.com"
    headers = {"content-type": FORM}
    if token := _session(options):
        headers["x-amz-security-token"] = token
    key = (options.access_key, _secret(options), datetime.now(UTC))
    signed = cloud_sign.aws(service, options.region, urlsplit(url).netloc, headers, body, *key)
    response = _post(options, f"aws:{service}", f"{url}/", signed, body, effect=effect)
    root = _xml(response, action)
    if response.status not in ACCEPTED:
        code, message = root.findtext(".//Code", str(response.status)), root.findtext(".//Message", "")
        raise _refused("aws", action, code, message, unknown=effect and response.status >= 500)
    found = root.find(f"{action}Result")
    return root if found is None else found


def aliyun(
    options: CloudOptions,
    service: str,
    version: str,
    action: str,
    parameters: Mapping[str, str],
    *,
    effect: bool = False,
) -> dict[str, Any]:
    """The answer to one question of Alibaba Cloud's RPC style."""
    query = cloud_sign.canonical_query({"RegionId": options.region, **parameters})
    url = options.endpoint or f"https://{service}.{options.region}.aliyuncs.com"
    key = (options.access_key, _secret(options), datetime.now(UTC))
    signed = cloud_sign.aliyun(action, version, urlsplit(url).netloc, query, *key)
    response = _post(options, f"aliyun:{service}", f"{url}/?{query}", signed, b"", effect=effect)
    answer = dict(mapping(document(response, action), action))
    if response.status not in ACCEPTED:
        code, message = answer.get("Code", response.status), answer.get("Message", "")
        raise _refused("aliyun", action, code, message, unknown=effect and response.status >= 500)
    return answer


def tencent(
    options: CloudOptions,
    service: str,
    version: str,
    action: str,
    parameters: Mapping[str, Any],
    *,
    effect: bool = False,
) -> dict[str, Any]:
    """The ``Response`` of Tencent Cloud's API 3.0."""
    body = json.dumps(parameters).encode()
    url = options.endpoint or f"https://{service}.tencentcloudapi.com"
    headers = {"content-type": JSON, "x-tc-action": action, "x-tc-version": version, "x-tc-region": options.region}
    key = (options.access_key, _secret(options), datetime.now(UTC))
    signed = cloud_sign.tencent(service, urlsplit(url).netloc, headers, body, *key)
    response = _post(options, f"tencent:{service}", f"{url}/", signed, body, effect=effect)
    if response.status not in ACCEPTED:
        raise said.refused("tencent", action, told(response), unknown=effect and response.status >= 500)
    answer = mapping(mapping(document(response, action), action).get("Response"), action)
    if "Error" in answer:
        wrong = mapping(answer["Error"], action)
        code, message = str(wrong.get("Code", "")), wrong.get("Message", "")
        raise _refused("tencent", action, code, message, unknown=effect and code.startswith("InternalError"))
    return dict(answer)


def whole(answer: Mapping[str, Any], name: str, total: str = "TotalCount") -> list[Mapping[str, Any]]:
    """Every row of a list: one that goes on is refused, for half of it could hide the one that matters."""
    rows = [mapping(row, name) for row in answer.get(name) or []]
    if int(answer.get(total, len(rows))) > len(rows):
        raise said.unreadable(name, f"{len(rows)} of {answer[total]}")
    return rows


def _refused(cloud: str, action: str, code: object, message: object, *, unknown: bool) -> ActionError:
    """``unknown``: the cloud itself failed while something was being changed."""
    return said.refused(cloud, action, f"{code}: {str(message)[:200]}", unknown=unknown)


def _post(
    options: CloudOptions, what: str, url: str, headers: Mapping[str, str], content: bytes, *, effect: bool
) -> Response:
    return ask(
        "POST",
        url,
        what=what,
        headers={name: value for name, value in headers.items() if name != "host"},
        content=content,
        timeout=options.timeout_seconds,
        max_bytes=MAX_BYTES,
        effect=effect,
    )


def _xml(response: Response, what: str) -> ET.Element:
    """Names without their namespace. A document type, which these answers never have, is refused unread."""
    if b"<!" in response.body:
        raise said.unreadable(what, told(response))
    try:
        root = ET.fromstring(response.body)  # noqa: S314 - nothing but elements and text, see above
    except ET.ParseError as error:
        raise said.unreadable(what, error) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _secret(options: CloudOptions) -> str:
    """Read anew for each request: a key is renewed."""
    if not options.secret_file:
        return options.secret.get_secret_value()
    try:
        found = Path(options.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise said.unreachable(options.secret_file, error) from None
    if not found:
        raise ActionError(f"{options.secret_file} holds no secret")
    return found


def _session(options: CloudOptions) -> str:
    token: SecretStr = getattr(options, "session_token", SecretStr(""))
    return token.get_secret_value()
