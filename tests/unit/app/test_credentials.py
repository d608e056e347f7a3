"""What a sender shows of itself follows its files: a renewal needs no restart."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from support.certificates import ended, issued, self_made
from support.engines import NOON

from watchkeeper.app.pipeline.credentials import Credentials
from watchkeeper.app.pipeline.sending import SendError
from watchkeeper.config.schema import RemoteWrite
from watchkeeper.errors import ConfigError


def shown(context: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """Common name of the certificate that a client shows to a server that asks for one."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client_side = context.wrap_bio(to_client, to_server)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = server_side.getpeercert()
    assert found is not None
    subject: Any = found["subject"]
    return str(dict(pair for one in subject for pair in one)["commonName"])


def test_a_renewed_certificate_and_token_are_shown_without_a_restart(tmp_path: Path) -> None:
    authority = self_made(tmp_path, "authority")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority)
    server.load_verify_locations(authority[0])
    server.verify_mode = ssl.CERT_REQUIRED
    before, after = (issued(tmp_path, name, authority) for name in ("before", "after"))
    mine = tmp_path / "mine.pem", tmp_path / "mine.key"
    token = tmp_path / "token"
    for target, source in zip(mine, before, strict=True):
        target.write_bytes(source.read_bytes())
    token.write_text("one\n")
    url = "https://127.0.0.1/api/v1/write"
    known_by = Credentials(RemoteWrite(name="a", url=url, token_file=token, certificate=mine[0], key=mine[1]))
    assert known_by.context is not None
    assert known_by.headers()["authorization"] == "Bearer one"
    assert shown(known_by.context, server) == "before"
    token.write_text("two\n")
    mine[0].write_bytes(after[0].read_bytes())
    assert known_by.headers()["authorization"] == "Bearer two"
    assert shown(known_by.context, server) == "before", "its key is not there yet"
    mine[1].write_bytes(after[1].read_bytes())
    known_by.headers()
    assert shown(known_by.context, server) == "after"
    token.unlink()
    with pytest.raises(SendError, match="token cannot be read"):
        known_by.headers()


def test_a_broken_connection_leads_to_our_certificate(tmp_path: Path) -> None:
    url, broken = "https://127.0.0.1/w", SendError("protocol", "Server disconnected")
    for made, said in (
        (ended(tmp_path), "ended.pem ended on 2024-02-01: renew it"),
        (self_made(tmp_path), "clients_ca"),
    ):
        known_by = Credentials(RemoteWrite(name="a", url=url, certificate=made[0], key=made[1]))
        assert said in str(known_by.explained(broken, NOON))
        assert known_by.explained(SendError("http_500", "x"), NOON).args == ("x",)
    assert Credentials(RemoteWrite(name="a", url=url)).explained(broken, NOON) is broken


def test_files_that_are_not_there_are_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing cannot be read"):
        Credentials(RemoteWrite(name="a", url="https://127.0.0.1/w", token_file=tmp_path / "nothing"))
