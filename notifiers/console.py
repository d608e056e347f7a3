"""A line on standard error or in a file: the channel that needs nobody's permission."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from pydantic.dataclasses import dataclass

from watchkeeper.errors import DeliveryError
from watchkeeper.model import Message
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt

from .base import STRICT, Language
from .text import clean


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Console:
    """One message, one line. Hostile text cannot forge a second one."""

    path: Path | None = None  #: file to append to; none: standard error
    language: Language = "zh-CN"

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:  # noqa: ARG002 - not HTTP
        try:
            await anyio.to_thread.run_sync(self._write, self.line(message, key))
        except OSError as error:
            raise DeliveryError(f"cannot write: {error.strerror}", code="os") from None
        return Receipt(code="ok", detail="written")

    @staticmethod
    def line(message: Message, key: str) -> str:
        severity = message.severity or "-"
        parts = [message.title, *message.lines, *(f"{text}: {url}" for text, url in message.links.items())]
        words = " | ".join(map(clean, parts))
        return f"{message.at.isoformat()} {message.kind} {severity} {words} key={clean(key)}\n"

    def _write(self, line: str) -> None:
        if self.path is None:
            sys.stderr.write(line)
            sys.stderr.flush()
            return
        with self.path.open("a", encoding="utf-8") as log:
            log.write(line)
