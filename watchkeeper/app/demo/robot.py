"""A double of the chat robots: takes what DingTalk and WeCom take, refuses what they refuse, and keeps the rest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.service import Answer, Request, Service

#: The demo's own; they open nothing but this double.
TOKEN, SECRET = "demo-robot-0123456789", "SECdemodemodemo42"
DINGTALK, WECOM = "/robot/send", "/cgi-bin/webhook/send"
#: Messages kept; older ones are dropped when the file is read.
KEPT = 200
#: Bytes of a WeCom markdown, and of a DingTalk message.
WECOM_LIMIT, DINGTALK_LIMIT = 4096, 20_000


class Robot:
    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.file, self.clock = file, clock
        self.lock = threading.Lock()
        self.service = Service("robot")
        self.service.route(DINGTALK, self.dingtalk)
        self.service.route(WECOM, self.wecom)

    def dingtalk(self, request: Request) -> Answer:
        query = parse_qs(request.query)
        if query.get("access_token") != [TOKEN]:
            return _no(300005, "token is not exist")
        if not self._signed(query.get("timestamp", [""])[0], query.get("sign", [""])[0]):
            return _no(310000, "sign not match")
        inner = request.json.get("markdown", {})
        if len(request.body) > DINGTALK_LIMIT or not (inner.get("title") and inner.get("text")):
            return _no(400102, "message is too long or has no text")
        return self._keep("dingtalk", str(inner["title"]), str(inner["text"]))

    def wecom(self, request: Request) -> Answer:
        if parse_qs(request.query).get("key") != [TOKEN]:
            return _no(93000, "invalid webhook url")
        body = request.json
        content = str(body.get(str(body.get("msgtype")), {}).get("content", ""))
        if not content or len(content.encode()) > WECOM_LIMIT:
            return _no(40058, "markdown.content exceed max length 4096")
        return self._keep("wecom", "", content)

    def _signed(self, stamp: str, given: str) -> bool:
        if not stamp.isdigit() or abs(self.clock() - int(stamp) / 1000) > 3600:
            return False
        return hmac.compare_digest(sign(stamp), given)

    def _keep(self, kind: str, title: str, text: str) -> Answer:
        line = json.dumps({"at": self.clock(), "kind": kind, "title": title, "text": text}, ensure_ascii=False)
        with self.lock, self.file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        return Answer.of({"errcode": 0, "errmsg": "ok"})


def sign(stamp: str) -> str:
    """DingTalk's signature of a time in milliseconds."""
    return base64.b64encode(hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()).decode()


def _no(code: int, text: str) -> Answer:
    """As the real ones: HTTP 200, and the verdict in the body."""
    return Answer.of({"errcode": code, "errmsg": text})


def messages(file: Path, limit: int = KEPT) -> list[dict[str, Any]]:
    """What the robots took, newest first; a line that is being written is left for the next look."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in reversed(whole[-limit:])]


def main(root: str, port: str) -> None:
    Robot(Place(Path(root)).messages).service.run(int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
