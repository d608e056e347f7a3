"""A server's side of TLS in memory: what it says goes through whoever changes it."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

from support.replays import Changes, Conversation


def shaking(cert: Path, key: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A server's settings that know one version alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.minimum_version = context.maximum_version = version
    return context


class Shaking(Conversation):
    """Shakes hands; each flight of messages is a piece."""

    def __init__(self, way: Changes, context: ssl.SSLContext) -> None:
        super().__init__(way)
        self._heard, self._says = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._heard, self._says, server_side=True)

    def answer(self, asked: bytes) -> bytes:
        self._heard.write(asked)
        with suppress(ssl.SSLError):  # more is to come, or the asker ends it: an alert is its answer
            self._tls.do_handshake()
        said = self._says.read()
        return self._said(said) if said else b""
