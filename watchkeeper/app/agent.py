"""The agent process: collectors on another machine, queues on its disk, and the way to the engine.

Samples wait in the store's log (pipeline/forward.py), lines in a queue of their own (pipeline/forward_lines.py) while
the engine cannot be reached, and go out in order when it can.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from collectors import BUILTIN as COLLECTORS
from collectors.base import Sheet, target_labels
from watchkeeper import __version__
from watchkeeper.app import garbage
from watchkeeper.app.assigned import EVERY as ASSIGNED_EVERY
from watchkeeper.app.assigned import Assigned
from watchkeeper.app.catalogue import expand
from watchkeeper.app.engine_clock import EVERY as CLOCK_EVERY
from watchkeeper.app.engine_clock import ClockKeeper, EngineClock, SampleQueue
from watchkeeper.app.link import EngineLink
from watchkeeper.app.paths import DataDir
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.app.pipeline.forward import Forwarder, Shift, forwarders
from watchkeeper.app.pipeline.forward_lines import LineForwarder
from watchkeeper.app.pipeline.lines import Keeping, masker_of
from watchkeeper.app.pipeline.sending import SendError
from watchkeeper.app.samples import embedded
from watchkeeper.app.schedule import Scheduler, every, reading
from watchkeeper.app.sources import build_source
from watchkeeper.app.wiring import data_dir
from watchkeeper.clock import Clock, SystemClock, to_ms
from watchkeeper.config import Config, Loaded, default_path, load
from watchkeeper.config import Source as SourceConfig
from watchkeeper.errors import ConfigError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected
from watchkeeper.registry import Registry
from watchkeeper.store.logs import LineQueue
from watchkeeper.telemetry import Telemetry, logger, set_up_logging

log = logger(__name__)

HEARTBEAT_EVERY = timedelta(seconds=15)
KEEP_EVERY = timedelta(minutes=1)


def serve_agent(config: Path | None) -> None:
    """Run until SIGINT or SIGTERM."""
    loaded = load(config or default_path())
    data = data_dir(loaded.config).create()
    lock = data.lock("agent")
    set_up_logging(data.logs / "agent.log", process="agent")
    try:
        asyncio.run(_serve(Agent(loaded, data, SystemClock())))
    finally:
        lock.close()


async def _serve(agent: Agent) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await agent.start()
    garbage.settle(agent.scheduler)
    log.info("agent ready", agent=agent.config.agent.name, sources=len(agent.sources))
    try:
        await agent.scheduler.run(stopping)
    finally:
        await agent.stop()


class Agent:
    """Everything an agent is. Raises ConfigError."""

    def __init__(self, loaded: Loaded, data: DataDir, clock: Clock) -> None:
        loaded = expand(_checked(loaded))
        self.clock = clock = EngineClock(clock)
        self.config, self.telemetry = _kept_briefly(loaded.config), Telemetry()
        self.data = data
        self.sources = {source.name: source for source in _sources(loaded)}
        link = EngineLink(self.config.remote_write[0], self.config.agent.name, clock)
        self.keeper = ClockKeeper(clock, link)
        self.samples = embedded(self.config, data, clock)
        self.outbound = Outbound(allow_private=True)
        self.scheduler = Scheduler(clock, self.telemetry)
        self._threads = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("append", "lines")}
        self.forwarders = forwarders(
            self.config.remote_write, self.samples, data.root / "remote_write", self.telemetry, clock
        )
        queue = LineQueue(data.lines, most_bytes=self.config.agent.queue_bytes)
        self.lines = Keeping(queue, masker_of(loaded), self.telemetry, clock, self._threads["lines"])
        external = self.config.remote_write[0].external_labels
        self.line_forwarder = LineForwarder(queue, link, external, self.telemetry)
        self.queue = SampleQueue(self.samples, clock)
        self.collecting = Collecting(
            store=self.queue,
            outbound=self.outbound,
            telemetry=self.telemetry,
            clock=clock,
            executor=self._threads["append"],
            scored=_not_here,
            logged=self.lines.take,
        )
        self._clock_told, self._telling = False, threading.Lock()
        self._begun = 0  #: records of the log that are older than this process
        heartbeat = Heartbeat(self)
        self.sources["agent"] = Source(
            "agent", "agent", HEARTBEAT_EVERY, heartbeat, heartbeat.target_labels, target="this agent"
        )
        self.assigned = Assigned(
            self,
            link,
            data.root / "assigned.json",
            location=self.config.agent.location,
            kinds=self.config.agent.accept,
            build=lambda row: build_source(row, self.config, Registry("collectors", COLLECTORS)),
            begin=self._begin,
        )

    async def start(self) -> None:
        """Schedule everything, begin to send."""
        self._begun = self._kept()
        self.forwarders[0].ready = self._sends
        await self.keeper.first()
        self._clock_known()
        now = self.clock.now()
        if self.samples.stats().get("newest_ms", 0) > to_ms(now):
            self.queue.begin(now)
        self.lines.restore(self.sources)
        self.scheduler.add("clock", every(CLOCK_EVERY, now + CLOCK_EVERY), self._compare_clocks)
        for source in list(self.sources.values()):
            self._schedule(source, now)
        if self.config.agent.accept:
            await self.assigned.restore(now)
            self.scheduler.add("assigned", every(ASSIGNED_EVERY, now), self.assigned.step)
        self.scheduler.add("keep", every(KEEP_EVERY, now + KEEP_EVERY), self._keep)
        for forwarder in self.forwarders:
            forwarder.start()
        self.line_forwarder.start()

    def _begin(self, source: Source, now: datetime) -> None:
        """A source that the engine wants."""
        self.sources[source.name] = source
        self.lines.restore({source.name: source})
        self._schedule(source, now)

    def _schedule(self, source: Source, now: datetime) -> None:
        step = functools.partial(self.collecting.step, source)
        trigger = reading(source.name, source.interval, now, sources=len(self.sources))
        self.scheduler.add(f"collect/{source.name}", trigger, step)

    async def stop(self) -> None:
        """What is unsent waits on the disk for the next start."""
        for source in self.sources.values():
            await source.collector.close()
        await self.outbound.aclose()
        for thread in self._threads.values():
            thread.shutdown(wait=True, cancel_futures=True)
        await asyncio.to_thread(self.samples.sync)
        for forwarder in self.forwarders:
            await asyncio.to_thread(forwarder.stop)
        await asyncio.to_thread(self.line_forwarder.stop)
        self.samples.close()

    async def _compare_clocks(self, _now: datetime) -> None:
        with contextlib.suppress(SendError):  # what waits says that the engine is away
            await self._ask_clock()

    async def _ask_clock(self) -> None:
        """Raises SendError."""
        if await self.keeper.step():
            self.queue.begin(self.clock.now())
        with self._telling:
            self._clock_known()

    def _clock_known(self) -> None:
        """What this process kept before it knew that the clock is wrong goes out under the right time."""
        ahead = self.clock.ahead
        if self._clock_told or ahead is None:
            return
        if self.clock.wrong:
            by_ms, now_ms = round(ahead / timedelta(milliseconds=1)), to_ms(self.clock.now())
            self.forwarders[0].shift(Shift(self._begun, self._kept(), by_ms, now_ms))
        self._clock_told = True

    async def _sends(self) -> None:
        """In the forwarder's thread: what waits goes out once the engine has said its time. Raises SendError."""
        if not self._clock_told:
            await self._ask_clock()

    def _kept(self) -> int:
        """Number of the newest record of the log."""
        return int(self.samples.stats()["sequence"])

    async def _keep(self, now: datetime) -> None:
        await asyncio.to_thread(self.samples.maintain, now)


class Heartbeat:
    """Series that say that the agent lives, and how much it still has to send."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        labels = {"environment": agent.config.environment} if agent.config.environment else {}
        self.target_labels = target_labels("watchkeeper_agent", labels, default_instance=socket.gethostname())
        self._sheet = Sheet("agent/agent", self.target_labels)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - a collector's shape
        queues = [
            ("watchkeeper_agent_queue_records", (("name", one.options.name),), float(one.lag))
            for one in self._agent.forwarders
        ]
        agent = self._agent
        failing = sum(source.state == "failing" for source in agent.sources.values())
        readings = [
            ("watchkeeper_agent_heartbeat_timestamp_seconds", (), now.timestamp()),
            ("watchkeeper_agent_info", (("version", __version__),), 1.0),
            ("watchkeeper_agent_queue_lines", (), float(agent.line_forwarder.lag)),
            ("watchkeeper_agent_dropped_lines", (), float(agent.line_forwarder.queue.dropped)),
            ("watchkeeper_agent_sources", (), float(len(agent.sources) - 1)),  # not this one
            ("watchkeeper_agent_sources_failing", (), float(failing)),
            ("watchkeeper_agent_sources_refused", (), float(len(agent.assigned.refused))),
            ("watchkeeper_agent_dropped_samples", (), float(_of(agent.forwarders, "dropped"))),
            ("watchkeeper_agent_refused_samples", (), float(_of(agent.forwarders, "refused"))),
            *queues,
        ]
        if agent.clock.ahead is not None:
            readings.append(("watchkeeper_agent_clock_ahead_seconds", (), agent.clock.ahead.total_seconds()))
        return Collected(ticks=[self._sheet.tick(now, readings)])

    async def close(self) -> None:
        """Nothing is held between collections."""


def _of(forwarders: Sequence[Forwarder], outcome: str) -> int:
    """Samples that did not arrive, for that reason, since the agent was started."""
    return sum(one.source.rejected.get(outcome, 0) for one in forwarders)


def _checked(loaded: Loaded) -> Loaded:
    """An agent has a name and somewhere to send to."""
    if not loaded.config.agent.name:
        raise ConfigError("an agent needs a name, which becomes the label `agent`", key="agent.name")
    if not loaded.config.remote_write:
        said = "an agent needs the engine it sends to: a name and a url such as https://engine:9700/api/v1/write"
        raise ConfigError(said, key="remote_write")
    if any(row.name == "agent" for row in loaded.config.collect.sources):
        raise ConfigError("this name is the agent's own; give the source another", key="collect.sources")
    return loaded


def _kept_briefly(config: Config) -> Config:
    """Its name on every series that goes out; what was sent is not kept for long."""
    told = {"agent": config.agent.name, "probe_location": config.agent.location or config.agent.name}
    kept = dict.fromkeys(("retention", "retention_5m", "retention_1h"), config.agent.retention)
    return config.model_copy(
        update={
            "remote_write": [
                row.model_copy(update={"external_labels": {**told, **row.external_labels}})
                for row in config.remote_write
            ],
            "store": config.store.model_copy(update=kept),
        }
    )


def _sources(loaded: Loaded) -> list[Source]:
    """What the file names, its services' among them, and this machine where ``collect.host`` is on."""
    config, registry = loaded.config, Registry("collectors", COLLECTORS)
    found = [
        loaded.part(("collect", "sources", index), lambda row=row: build_source(row, config, registry))
        for index, row in enumerate(config.collect.sources)
    ]
    if config.collect.host:
        row = SourceConfig(kind="host", name="host", interval=config.collect.host_interval, labels={"job": "node"})
        found.append(build_source(row, config, registry))
    return found


async def _not_here(_ticks: Sequence[Tick]) -> None:
    """The engine scores."""
