"""A loopback server that answers as DingTalk, WeCom and Feishu do: HTTP 200, with the verdict in the body."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

CODES = json.loads(Path(__file__).with_name("robot_codes.json").read_text())
PATHS = {
    "/robot/send": "dingtalk",
    "/cgi-bin/webhook/send": "wecom",
    "/open-apis/bot/v2/hook/": "feishu",
    "/hook": "webhook",
}
TOKEN, SECRET = "canarytoken0123456789", "SECcanarysecret42"


@dataclass(frozen=True, slots=True)
class Request:
    kind: str
    method: str
    target: str  #: path and query as sent
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Robots:
    """``mode`` makes it misbehave; ``alive=False`` kills the token; ``keyword`` and ``signed`` are its security."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    mode: str = ""  #: html, empty, hang, reset, redirect, a status, or body:<text>
    alive: bool = True
    keyword: str = ""
    signed: bool = True
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    accepted: list[Request] = field(default_factory=list)
    lockouts: int = 0
    seen: Counter[str] = field(default_factory=Counter)  #: msgUuid -> times accepted
    _times: dict[str, list[float]] = field(default_factory=dict)
    _blocked: dict[str, float] = field(default_factory=dict)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await self._read(reader)
                self.requests.append(request)
                if self.mode == "reset":
                    writer.transport.abort()
                    return
                if self.mode == "hang":
                    await reader.read()
                    break
                writer.write(self.respond(request))
                await writer.drain()
        writer.close()

    async def hang_up(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0)

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = urlsplit(target).path
        kind = next((kind for prefix, kind in PATHS.items() if path.startswith(prefix)), "unknown")
        return Request(kind, method, target, headers, body)

    def respond(self, request: Request) -> bytes:
        mode = self.mode
        if mode == "redirect":
            return _answer(b"", "302 Found", f"Location: {self.base}/elsewhere\r\n")
        if mode == "html":
            return _answer(b"<html>Welcome to the hotel</html>", "200 OK", "Content-Type: text/html\r\n")
        if mode == "empty":
            return _answer(b"", "200 OK", "Content-Type: text/html\r\n")
        if mode.startswith("body:"):
            return _answer(mode[5:].encode())
        if mode:
            return _answer(b"no", f"{mode} Oops", "x-ogw-ratelimit-reset: 7\r\n" if mode == "429" else "")
        if request.kind == "webhook":
            self.accepted.append(request)
            return _answer(b'{"ok":true}')
        return _answer(json.dumps(self.verdict(request)).encode())

    def verdict(self, request: Request) -> dict[str, Any]:
        """The answer's body; an accepted message is kept."""
        reason = self._refusal(request)
        code, text = CODES[request.kind][reason] if reason else (0, "ok")
        if not reason:
            self.accepted.append(request)
            self.seen[request.json.get("msgUuid", "")] += 1
        if request.kind == "feishu":
            return {"code": code, "msg": text, "data": {}}
        return {"errcode": code, "errmsg": text}

    def _refusal(self, request: Request) -> str:
        for check in (self._envelope, self._rate, self._security, self._shape):
            reason = check(request)
            if reason:
                return reason
        return ""

    def _envelope(self, request: Request) -> str:
        if request.method != "POST":
            return "method"
        if "application/json" not in request.headers.get("content-type", ""):
            return "content_type"
        url = urlsplit(request.target)
        name = {"dingtalk": "access_token", "wecom": "key"}.get(request.kind)
        token = parse_qs(url.query).get(name, [""])[0] if name else url.path.rpartition("/")[2]
        return "" if self.alive and token == TOKEN else "token"

    def _rate(self, request: Request) -> str:
        now, kind = self.now().timestamp(), request.kind
        if now < self._blocked.get(kind, 0):
            return "rate"
        times = [at for at in self._times.get(kind, []) if now - at < 60]
        self._times[kind] = [*times, now]
        over = len(times) >= (100 if kind == "feishu" else 20)
        if kind == "feishu":
            over = over or sum(now - at < 1 for at in times) >= 5
        if over:
            self.lockouts += 1
            if kind == "dingtalk":
                self._blocked[kind] = now + 600
        return "rate" if over else ""

    def _security(self, request: Request) -> str:
        try:
            body = request.json
        except ValueError:
            return "shape"
        if self.keyword and self.keyword not in json.dumps(_texts(body), ensure_ascii=False):
            return "keyword"
        if not self.signed or request.kind == "wecom":
            return ""
        now = self.now().timestamp()
        if request.kind == "dingtalk":
            query = parse_qs(urlsplit(request.target).query)
            stamp, given = query.get("timestamp", [""])[0], query.get("sign", [""])[0]
            seconds, key, text = (int(stamp) / 1000 if stamp.isdigit() else 0), SECRET, f"{stamp}\n{SECRET}"
        else:
            stamp, given = str(body.get("timestamp", "")), str(body.get("sign", ""))
            seconds, key, text = (int(stamp) if stamp.isdigit() else 0), f"{stamp}\n{SECRET}", ""
        if abs(now - seconds) > 3600:
            return "clock"
        right = base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()
        return "" if hmac.compare_digest(right, given) else "sign"

    def _shape(self, request: Request) -> str:
        body = request.json
        if request.kind == "wecom":
            return self._wecom(body)
        if len(request.body) > (20_000 if request.kind == "dingtalk" else 20_480):
            return "long"
        if request.kind == "feishu":
            if body.get("msg_type") not in ("text", "post", "interactive", "image", "share_chat"):
                return "type"
            return (
                ""
                if isinstance(body.get("card" if body["msg_type"] == "interactive" else "content"), dict)
                else "shape"
            )
        kind = body.get("msgtype")
        needed = {"text": ("content",), "markdown": ("title", "text")}.get(str(kind))
        if needed is None:
            return "type"
        inner = body.get(str(kind))
        return "" if isinstance(inner, dict) and all(inner.get(name) for name in needed) else "shape"

    @staticmethod
    def _wecom(body: dict[str, Any]) -> str:
        kind, limits = body.get("msgtype"), {"text": 2048, "markdown": 4096, "markdown_v2": 4096}
        if kind == "image":
            image = body.get("image", {})
            raw = base64.b64decode(image.get("base64", ""))
            return "" if hashlib.md5(raw).hexdigest() == image.get("md5") else "image"
        if kind not in limits:
            return "type"
        content = body.get(kind, {}).get("content", "")
        if not content:
            return "shape"
        return "long" if len(content.encode()) > limits[kind] else ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _answer(body: bytes, status: str = "200 OK", headers: str = "Content-Type: application/json\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def robots(**settings: Any) -> AsyncIterator[Robots]:
    double = Robots(**settings)
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
        await double.hang_up()
