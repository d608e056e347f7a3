"""Redis servers and Sentinels asked one command at a time, from a thread: what they say, or an ActionError."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from watchkeeper.errors import ActionError, CollectError
from watchkeeper.wire.resp import Refused, Reply, Resp

from . import said

#: All answers of one conversation together.
MAX_BYTES = 4 << 20


def talk(address: str, commands: Sequence[Sequence[str]], *, login: Sequence[str] = (), timeout: float) -> list[Reply]:
    """Answers to the commands, in order. A refusal is an answer. ``login``: the words after AUTH."""

    async def go() -> list[Reply]:
        host, _, port = address.rpartition(":")
        async with asyncio.timeout(timeout):
            server = await Resp.connect(host.strip("[]"), int(port), None, MAX_BYTES)
            try:
                if login and isinstance(answer := await server.call("AUTH", *login), Refused):
                    raise said.refused(address, "AUTH", answer.partition(" ")[0])
                return [await server.call(*words) for words in commands]
            finally:
                await server.close()

    try:
        return asyncio.run(go())
    except TimeoutError:
        raise said.unreachable(address, f"no answer within {timeout:g} s", unknown=True) from None
    except CollectError as error:
        raise said.unreachable(address, error, unknown=error.reason != "connect") from None


def fields(reply: Reply) -> dict[str, str]:
    """The lines of INFO."""
    if isinstance(reply, Refused) or not isinstance(reply, str):
        return {}
    lines = (line.partition(":") for line in reply.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def replication(address: str, *, login: Sequence[str], timeout: float) -> dict[str, Any]:
    """``role``, ``offset`` and ``link`` of one node; empty when it cannot be asked."""
    try:
        (answer,) = talk(address, [("INFO", "replication")], login=login, timeout=timeout)
    except ActionError:
        return {}
    found = fields(answer)
    offset = found.get("master_repl_offset" if found.get("role") == "master" else "slave_repl_offset", "")
    return {
        "role": found.get("role", ""),
        "offset": int(offset) if offset.isdigit() else -1,
        "link": found.get("master_link_status", ""),
    }
