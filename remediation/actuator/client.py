"""The engine's side of the socket. What was sent and not answered is unknown, never "failed"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, Target
from watchkeeper.ports import Reading

from .frames import MAX_BYTES, pack, receive


class SocketClient:
    """Fits ``watchkeeper.ports.ActuatorClient``; one connection a request."""

    def __init__(self, socket_path: Path, *, timeout: float = 15.0) -> None:
        self._path, self._timeout = socket_path, timeout

    async def read(self, target: Target) -> Reading:
        answer = await self._ask({"op": "read", "kind": target.kind, "name": target.name})
        return Reading(state=answer["state"], epoch=str(answer["epoch"]), capacity=answer["capacity"])

    async def submit(self, intent: Intent) -> Mapping[str, object]:
        return await self._ask({"op": "submit", "intent": asdict(intent)})

    async def outcome(self, idempotency_key: str) -> Mapping[str, object] | None:
        """Settles the key: an intent the actuator has not seen by now will never be carried out."""
        return await self._ask({"op": "outcome", "key": idempotency_key})

    async def ping(self) -> int:
        """The actuator's process id."""
        return int((await self._ask({"op": "ping"}))["pid"])

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        sent = False
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=MAX_BYTES)
                message = pack(request)
                sent = True
                writer.write(message)
                await writer.drain()
                answer = await receive(reader)
        except TimeoutError:
            raise ActionError("the actuator does not answer", unknown=sent) from None
        except OSError as error:
            raise ActionError(f"the actuator cannot be reached: {error.strerror or error}", unknown=sent) from None
        finally:
            if writer is not None:
                writer.close()
        if answer is None:
            raise ActionError("the actuator closed the connection without an answer", unknown=True)
        if not answer.get("ok"):
            raise ActionError(str(answer.get("error")), unknown=bool(answer.get("unknown")))
        result: dict[str, Any] = answer["answer"]
        return result
