"""Where the newest hash of the audit goes every minute."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

from support.listening import listening
from support.states import NOON, sqlite_state

from watchkeeper.app.pipeline.heads import Heads
from watchkeeper.config.schema import AuditHeads
from watchkeeper.outbound import Outbound
from watchkeeper.store.state import State
from watchkeeper.telemetry import Telemetry


def filled(folder: Path) -> tuple[State, str]:
    state = sqlite_state(folder)
    with state.begin() as unit:
        digest = unit.audit.append("ada", "step", "x", {}, at=NOON)
    return state, digest


def counted(telemetry: Telemetry, place: str, outcome: str) -> float:
    return float(telemetry.audit_heads.labels(place, outcome)._value.get())


async def test_the_head_goes_to_a_file_to_syslog_and_to_a_receiver(tmp_path: Path) -> None:
    state, digest = await asyncio.to_thread(filled, tmp_path)
    bodies: list[dict[str, object]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        bodies.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    outbound, telemetry = Outbound(allow_private=True), Telemetry()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        async with listening(receive) as port:
            places = AuditHeads.model_validate(
                {
                    "file": tmp_path / "heads",
                    "syslog": f"127.0.0.1:{syslog.getsockname()[1]}",
                    "url": f"http://127.0.0.1:{port}/",
                }
            )
            for _ in range(2):
                await Heads(state, outbound, telemetry, places).step(NOON)
        assert f"audit-head - 1:{digest}" in syslog.recv(1000).decode()
    assert (tmp_path / "heads").read_text() == f"2026-03-01T12:00:00Z 1 {digest}\n" * 2
    assert bodies == [{"at": "2026-03-01T12:00:00Z", "row": 1, "hash": digest}] * 2
    assert [counted(telemetry, place, "sent") for place in ("file", "syslog", "url")] == [2, 2, 2]
    await outbound.aclose()
    await asyncio.to_thread(state.close)


async def test_a_place_that_fails_is_counted_and_the_others_get_theirs(tmp_path: Path) -> None:
    state, _ = await asyncio.to_thread(filled, tmp_path)
    outbound, telemetry = Outbound(allow_private=True), Telemetry()
    places = AuditHeads.model_validate({"file": tmp_path / "none" / "heads", "url": "http://127.0.0.1:1/"})
    heads = Heads(state, outbound, telemetry, places)
    assert heads.any
    await heads.step(NOON)
    assert [counted(telemetry, place, "failed") for place in ("file", "url", "syslog")] == [1, 1, 0]
    assert not Heads(state, outbound, telemetry, AuditHeads()).any
    await outbound.aclose()
    await asyncio.to_thread(state.close)
