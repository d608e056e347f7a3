"""Checks recorded requests to chat robots against their public contracts. Knows neither the senders nor the double."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import unquote

from support.robots import Request

HOUR = 3600


def problems(request: Request, *, secret: str, now: float, hostile: bool = False) -> list[str]:
    """What the receiver would refuse, or worse, act upon. ``hostile``: the labels were; no markup may be theirs."""
    found: list[str] = []
    if request.method != "POST":
        found.append("not a POST")
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        found.append("not JSON by its content type")
    try:
        body = json.loads(request.body.decode("utf-8", errors="strict"))
    except ValueError:
        return [*found, "body is no UTF-8 JSON"]
    if not isinstance(body, dict):
        return [*found, "body is no object"]
    check = {"dingtalk": _dingtalk, "wecom": _wecom, "feishu": _feishu}[request.kind]
    found += check(request, body, secret, now)
    if "\ufffd" in request.body.decode() and hostile:
        found.append("a character was cut in two")
    return found + (_hostile(request.kind, body) if hostile else [])


def _query(target: str) -> dict[str, str]:
    """Query values decoded exactly once."""
    _, _, query = target.partition("?")
    return {name: unquote(value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)}


def _mac(key: str, text: str) -> bytes:
    return hmac.digest(key.encode("utf-8"), text.encode("utf-8"), hashlib.sha256)


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return b""


def _dingtalk(request: Request, body: dict[str, Any], secret: str, now: float) -> list[str]:
    found, query = [], _query(request.target)
    if not query.get("access_token"):
        found.append("no access_token")
    if secret:
        stamp = query.get("timestamp", "")
        if not re.fullmatch(r"\d{13}", stamp):
            found.append("timestamp is not in milliseconds")
        elif abs(int(stamp) / 1000 - now) > HOUR:
            found.append("timestamp is more than an hour off")
        if _decoded(query.get("sign", "")) != _mac(secret, stamp + "\n" + secret):
            found.append("sign is wrong or encoded twice")
    if len(request.body) > 20_000:
        found.append("over 20000 bytes")
    return found + _dingtalk_body(body)


def _dingtalk_body(body: dict[str, Any]) -> list[str]:
    kind = body.get("msgtype")
    if kind not in ("text", "link", "markdown", "actionCard", "feedCard"):
        return ["msgtype is not one of the robot's"]
    inner = body.get(kind)
    if not isinstance(inner, dict):
        return [f"{kind} is missing"]
    found = [
        f"{kind}.{name} is empty"
        for name in {"text": ["content"], "markdown": ["title", "text"]}.get(kind, [])
        if not inner.get(name)
    ]
    at = body.get("at", {})
    if not isinstance(at.get("isAtAll", False), bool):
        found.append("isAtAll is no boolean")
    if kind == "markdown":
        names = [*at.get("atMobiles", []), *at.get("atUserIds", [])]
        found += [f"mention of {name} is not in the text" for name in names if f"@{name}" not in inner.get("text", "")]
    return found


def _wecom(request: Request, body: dict[str, Any], secret: str, now: float) -> list[str]:
    found, query = [], _query(request.target)
    if not query.get("key"):
        found.append("no key")
    if {"sign", "timestamp"} & (set(query) | set(body)):
        found.append("WeCom knows no sign")
    kind = body.get("msgtype")
    if kind == "image":
        image = body.get("image", {})
        if hashlib.md5(_decoded(image.get("base64", ""))).hexdigest() != image.get("md5"):
            found.append("md5 is not of the file")
        return found
    limit = {"text": 2048, "markdown": 4096, "markdown_v2": 4096}.get(str(kind))
    if limit is None:
        return [*found, "msgtype is not one of the robot's"]
    content = body.get(str(kind), {}).get("content")
    if not isinstance(content, str) or not content:
        return [*found, "content is empty"]
    if len(content.encode("utf-8")) > limit:
        found.append(f"content is over {limit} bytes")
    if kind != "text" and {"mentioned_list", "mentioned_mobile_list"} & set(body[str(kind)]):
        found.append("mention lists belong to text only")
    return found


def _feishu(request: Request, body: dict[str, Any], secret: str, now: float) -> list[str]:
    found = []
    if not re.fullmatch(r"/open-apis/bot/v2/hook/[^/?]+", request.target):
        found.append("path is not a hook's")
    if secret:
        stamp = body.get("timestamp")
        if not isinstance(stamp, str) or not re.fullmatch(r"\d{10}", stamp):
            found.append("timestamp is not in seconds, as a string")
        elif abs(int(stamp) - now) > HOUR:
            found.append("timestamp is more than an hour off")
        if _decoded(str(body.get("sign", ""))) != _mac(f"{stamp}\n{secret}", ""):
            found.append("sign is wrong")
    if len(request.body) > 20_000:
        found.append("over 20 KB")
    return found + _feishu_body(body)


def _feishu_body(body: dict[str, Any]) -> list[str]:
    found: list[str] = []
    kind = body.get("msg_type")
    if kind not in ("text", "post", "interactive", "image", "share_chat"):
        return [*found, "msg_type is not one of the bot's"]
    if not isinstance(body.get("card" if kind == "interactive" else "content"), dict):
        found.append("content is missing")
    if kind == "interactive":
        header = body.get("card", {}).get("header", {})
        if header.get("template") not in ("red", "orange", "green", "blue", "grey"):
            found.append("header has no known colour")
    return found


def _hostile(kind: str, body: dict[str, Any]) -> list[str]:
    text = json.dumps(body, ensure_ascii=False)
    if kind == "feishu":  # its own mentions stand alone in a lark_md element
        text = text.replace("<at id=all></at>", "")
    signs = {
        "a link": r"\]\(\s*http://evil",
        "an address": r"http://evil",
        "a mention": r"<@(all|everyone)>|<at\b|(?<![\w@])@all\b",
        "markup": r"</?font|<script|<img",
        "a direction override": "[\u202a-\u202e\u2066-\u2069]",
    }
    return [f"{name} from a label" for name, pattern in signs.items() if re.search(pattern, text)]
