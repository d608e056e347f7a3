"""An agent killed again and again, in the middle of its queue and of what it sends, beside cuts of the link.

The process is the agent's own, on the system's clock. Killed is killed: no handler runs. What must come out is told by
what was written to the log, and by the samples that the agent's own disk holds in the end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.agents import Place, listening, texts, token_for, until
from support.engines import engine
from support.wires import Wires

from watchkeeper.app.agent import Agent, serve_agent
from watchkeeper.app.engine import Engine
from watchkeeper.clock import ManualClock
from watchkeeper.model import Matcher, MatchOp, label
from watchkeeper.wire import remote_write, snappy

#: Where a kill finds the agent.
WAYS = ("queue", "samples going", "samples gone", "lines going", "lines gone", "start")
NAMES = ("probe_success", "probe_duration_seconds", "watchkeeper_agent_heartbeat_timestamp_seconds")


class Killed:
    """The agent's process, started anew after each kill."""

    def __init__(self, file: Path) -> None:
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["watchkeeper.app.agent", "collectors.tcp_probe", "collectors.log_file"])
        self._file, self.kills = file, 0
        self.start()

    def start(self) -> None:
        self._process = self._context.Process(target=serve_agent, args=(self._file,))
        self._process.start()

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL, "it had ended by itself"
        self.kills += 1


class Ear:
    """Stands before the engine's receivers: notes what arrives, and kills who sends when it is told to."""

    def __init__(self, found: Engine, agent: Killed) -> None:
        self.agent, self.due, self.done, self.requests = agent, "", threading.Event(), 0
        self.first = defaultdict[bytes, list[int]](list)  #: labels -> times, as they arrived for the first time
        self._known = set[tuple[bytes, int]]()
        samples, lines = found.receiving.write, found.receiving_lines.write

        def write(packed: bytes, *, second: bool) -> Any:
            self._note(packed)
            self._kill_if("samples going")
            taken = samples(packed, second=second)
            self._kill_if("samples gone")
            return taken

        def write_lines(agent: str, body: bytes, *, gzipped: bool) -> int:
            self._kill_if("lines going")
            following = lines(agent, body, gzipped=gzipped)
            self._kill_if("lines gone")
            return following

        found.receiving.write, found.receiving_lines.write = write, write_lines  # type: ignore[method-assign]

    def kill_at(self, way: str) -> None:
        self.done.clear()
        self.due = way
        assert self.done.wait(120)

    def _kill_if(self, way: str) -> None:
        self.requests += 1
        if self.due == way:
            self.due = ""
            self.agent.kill()
            self.done.set()

    def _note(self, packed: bytes) -> None:
        request = remote_write.decode(snappy.unpack(packed, 1 << 24), {})
        for code, time_ms in zip(request.codes.tolist(), request.times.tolist(), strict=True):
            block = request.fresh[-1 - code]
            if (block, time_ms) not in self._known:
                self._known.add((block, time_ms))
                self.first[block].append(time_ms)


class Writer:
    def __init__(self, log: Path) -> None:
        self._log, self.written = log, 0

    def write(self, count: int) -> None:
        new = range(self.written, self.written + count)
        with self._log.open("a") as file:
            file.write("".join(f"order {number} accepted\n" for number in new))
        self.written += count


@contextmanager
def wires() -> Iterator[Wires]:
    made = Wires()
    try:
        yield made
    finally:
        made.close()


def samples_of(store: Any) -> dict[tuple[str, str], tuple[list[int], list[float]]]:
    """(name, job) -> times and values."""
    found = {}
    for name in NAMES:
        for matrix in store.select([Matcher("__name__", MatchOp.EQUAL, name)], 0, 1 << 60):
            for series, values in zip(matrix.series, matrix.values, strict=True):
                there = ~np.isnan(values)
                found[name, label(series, "job")] = matrix.times[there].tolist(), values[there].tolist()
    return found


async def read_and_send_the_rest(agent: Agent, clock: ManualClock) -> None:
    """What the last process left unread and unsent."""
    await agent.start()
    await agent.scheduler.advance(clock, clock.now() + timedelta(seconds=2))
    await asyncio.to_thread(agent.samples.sync)
    await asyncio.to_thread(until, lambda: agent.forwarders[0].lag == agent.line_forwarder.lag == 0)


@pytest.mark.parametrize(
    ("kills", "seed"),
    [(len(WAYS), 0), *(pytest.param(120, seed, marks=pytest.mark.long) for seed in range(1, 4))],
)
def test_kills_and_cuts_lose_double_and_disorder_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, seed: int
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # or the server of forks imports nothing beforehand
    dice, place = random.Random(seed), Place(tmp_path)
    writer = Writer(place.log)
    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))  # tokens are kept to the millisecond
    with engine(tmp_path, clock=clock, engine=place.engine_section()) as found, wires() as link:
        token = token_for(found)
        agent = Killed(place.file(token, port=link.to(place.port), interval="1s"))
        ear = Ear(found, agent)
        with listening(found):
            for number in range(kills):
                kill_once(WAYS[number % len(WAYS)], agent, ear, link, writer, dice, tmp_path / "agent")
                clock.advance(max(datetime.now(UTC) - clock.now(), timedelta()))
                agent.start()
                writer.write(dice.randrange(20))
                link.mend()
            agent.kill()  # once more: there is no good moment
            later = ManualClock(datetime.now(UTC) + timedelta(seconds=1))
            last = place.agent(token, later)
            asyncio.run(read_and_send_the_rest(last, later))
            theirs = samples_of(last.samples)
            asyncio.run(last.stop())
        assert agent.kills == kills + 1
        assert texts(found) == [f"order {number} accepted" for number in range(writer.written)]
        assert samples_of(found.samples) == theirs
        assert all(times == sorted(set(times)) for times, _ in theirs.values())
        assert all(times == sorted(times) for times in ear.first.values())


def kill_once(
    way: str, agent: Killed, ear: Ear, link: Wires, writer: Writer, dice: random.Random, folder: Path
) -> None:
    """Kill the agent there; with ``queue`` the link is cut and lines wait on its disk."""
    if way == "start":
        return agent.kill()
    if way == "queue":
        seen = ear.requests
        until(lambda: ear.requests > seen)
        link.cut()
        before = size_of(folder)
        writer.write(50)
        until(lambda: size_of(folder) > before + 50 * dice.randrange(1, 60))
        return agent.kill()
    writer.write(1 + dice.randrange(200))
    return ear.kill_at(way)


def size_of(folder: Path) -> int:
    """Bytes that the agent has on its disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
