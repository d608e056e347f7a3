"""The actuator process: a UNIX socket for its own user and those it is told, and effects, nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from remediation.actions import Kind, kind_of
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Intent, Target
from watchkeeper.telemetry import logger

from .core import Actuator
from .frames import pack, receive
from .journal import Journal
from .peer import is_open, peer

#: Seconds a client may take to send a message.
PATIENCE = 10.0

log = logger("remediation.actuator")


async def serve(
    socket_path: Path,
    journal_path: Path,
    targets: Sequence[Mapping[str, Any]],
    kill_switch_file: Path,
    *,
    allowed_uids: Collection[int] = (),
    stop: asyncio.Event | None = None,
    kinds: Callable[[str], Kind] = kind_of,
) -> None:
    """Serve until ``stop``. ``allowed_uids``: users beside our own who may connect, where the engine is another.

    Raises ActionError when the journal is damaged: then nothing is done until a person looked at the targets.
    """
    journal = Journal(journal_path)
    if journal.torn_bytes:
        log.warning("journal_tail_cut", bytes=journal.torn_bytes)
    named = {str(target["name"]): target for target in targets}
    core = Actuator(journal, named, kill_switch_file, kinds=kinds)
    uids = frozenset({os.getuid(), *allowed_uids})
    talks = set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        talks.add(talk)
        try:
            uid = peer(writer.get_extra_info("socket")).uid
            if uid in uids:
                await _talk(core, reader, writer)
            else:
                log.warning("stranger_refused", uid=uid)
        except asyncio.CancelledError:
            return  # we stop, and nothing was under way
        finally:
            talks.discard(talk)
            writer.close()

    server = await asyncio.start_unix_server(connected, sock=_bind(socket_path, shared=len(uids) > 1))
    try:
        async with server:
            await (stop or asyncio.Event()).wait()
            server.close()
            for talk in talks:
                talk.cancel()
            await asyncio.gather(*talks)
    finally:
        await asyncio.to_thread(socket_path.unlink, missing_ok=True)
        journal.close()


async def _talk(core: Actuator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the client has nothing more to ask, or we are cancelled: what has begun is ended and answered even then."""
    while True:
        try:
            request = await asyncio.wait_for(receive(reader), PATIENCE)
        except (TimeoutError, WatchkeeperError):
            return
        if request is None:
            return
        waited_for = partial(is_open, writer.get_extra_info("socket"))
        answering = asyncio.create_task(asyncio.to_thread(answer_to, core, request, waited_for))
        try:
            await asyncio.shield(answering)
        finally:
            writer.write(pack(await answering))
        try:
            await writer.drain()
        except ConnectionError:
            return  # whatever was done is in the journal


def answer_to(
    core: Actuator, request: Mapping[str, Any], waited_for: Callable[[], bool] = lambda: True
) -> dict[str, Any]:
    """One request answered; errors are answers too. ``waited_for``: somebody is still there to hear the answer."""
    try:
        return {"ok": True, "answer": _answer(core, request, waited_for)}
    except WatchkeeperError as error:
        return {"ok": False, "error": str(error), "unknown": bool(getattr(error, "unknown", False))}
    except Exception as error:  # the edge: the effect may have happened, so the answer says unknown
        log.exception("actuator_crash", operation=str(request.get("op")))
        return {"ok": False, "error": f"{type(error).__name__} in the actuator", "unknown": True}


def _answer(core: Actuator, request: Mapping[str, Any], waited_for: Callable[[], bool]) -> dict[str, Any]:
    operation = request.get("op")
    if operation == "ping":
        return {"pid": os.getpid()}
    if operation == "read":
        reading = core.read(Target(kind=str(request["kind"]), name=str(request["name"])))
        return {"state": dict(reading.state), "epoch": reading.epoch, "capacity": dict(reading.capacity)}
    if operation == "outcome":
        return core.outcome(str(request["key"]))
    if operation == "submit":
        return core.submit(intent_from(request["intent"]), waited_for)
    raise WatchkeeperError(f"unknown operation {operation!r}")


def intent_from(values: Mapping[str, Any]) -> Intent:
    body = dict(values)
    try:
        body["committed_at"] = datetime.fromisoformat(str(body["committed_at"]))
        body["token"] = int(body["token"])
        return Intent(**body)
    except (KeyError, TypeError, ValueError) as error:
        raise WatchkeeperError(f"not an intent: {error}") from error


def _bind(path: Path, *, shared: bool) -> socket.socket:
    """Never open to others, not even for a moment: the mask is set before the file exists.

    ``shared``: open to the group as well, which is how another user's engine gets in; the kernel names it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750 if shared else 0o700)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117 if shared else 0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener
