"""Tell: what was decided becomes messages in the outbox, and messages become deliveries. Fails open."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from incidents.routing import Route
from incidents.routing import channels as channels_for
from incidents.telling import Change as IncidentChange
from notifiers import BUILTIN
from notifiers.delivery import Channel, deliver, recover, switched_off
from notifiers.pace import FREE, Limits
from notifiers.render import Renderer
from notifiers.story import story
from remediation.change import Change as ActionChange
from watchkeeper.app.api import shapes
from watchkeeper.app.wiring import public_url
from watchkeeper.clock import Clock
from watchkeeper.config import Loaded
from watchkeeper.errors import ConfigError, OutboundError, WatchkeeperError
from watchkeeper.model import ActionState, Event, Incident, Message
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry
from watchkeeper.store.state import State, Unit
from watchkeeper.telemetry import logger

log = logger(__name__)

#: Kinds whose receivers lock a robot out that speaks too often.
ROBOTS = ("dingtalk", "wecom", "feishu")
#: States of an action that nobody needs to be told about.
QUIET = (ActionState.OBSERVED, ActionState.CONFIRMING, ActionState.CLEARED, ActionState.ARMED)
#: Changes that the next message of the same action tells better: the question to people, or the first verdict.
PASSING = ("proposed", "executed")
DAY = timedelta(days=1)


@dataclass(slots=True, eq=False)
class Telling:
    """Channels, routes and the outbox between them."""

    state: State
    clock: Clock
    outbound: Outbound
    routes: Sequence[Route]
    channels: Mapping[str, Channel]
    kinds: Mapping[str, str]  #: channel -> kind
    renderers: Mapping[str, Renderer]  #: channel -> how its readers read
    digest_channels: Sequence[str]
    public_url: str
    heartbeat_url: str = ""
    changes: Callable[[Unit, Incident], Sequence[Event]] = lambda _unit, _incident: ()  #: what was changed just before
    leads: Callable[[], bool] = lambda: True  #: this engine is the one that tells
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def of(cls, loaded: Loaded, *, state: State, clock: Clock, outbound: Outbound, routes: Sequence[Route]) -> Telling:
        found = cls.channels_of(loaded)
        config = loaded.config
        address = public_url(config)
        named = {channel.name: channel for channel, _kind in found}
        _check_names(loaded, routes, named)
        heartbeat = config.notify.heartbeat
        return cls(
            state=state,
            clock=clock,
            outbound=outbound,
            routes=routes,
            channels=named,
            kinds={channel.name: kind for channel, kind in found},
            renderers={
                channel.name: Renderer(
                    language=getattr(channel.notifier, "language", config.language),
                    zone=config.zone,
                    public_url=address,
                )
                for channel, _kind in found
            },
            digest_channels=config.notify.digest_channels or list(named),
            public_url=address,
            heartbeat_url=heartbeat.url.get_secret_value() if heartbeat else "",
        )

    @classmethod
    def channels_of(cls, loaded: Loaded) -> list[tuple[Channel, str]]:
        """Every configured channel with its kind. Raises ConfigError."""
        registry = Registry("notifiers", BUILTIN)
        found: dict[str, tuple[Channel, str]] = {}
        for index, row in enumerate(loaded.config.notify.channels):
            path = ("notify", "channels", index)
            options = dict(row)
            name, kind = str(options.pop("name", "")), str(options.pop("kind", ""))
            fallback = str(options.pop("fallback", ""))
            if not name or name in found:
                raise loaded.document.error("a channel needs a name of its own", path)
            if kind != "console" and "language" not in options and hasattr(registry.get(kind), "language"):
                options["language"] = loaded.config.language
            notifier = loaded.part(path, lambda kind=kind, options=options: registry.build(kind, options))
            limits = Limits() if kind in ROBOTS else FREE
            channel = Channel(name=name, notifier=notifier, limits=limits, zone=loaded.config.zone, fallback=fallback)
            found[name] = (channel, kind)
        return list(found.values())

    def take_over(self, other: Telling) -> None:
        """Go on with the channels and routes of another; what waits in the outbox stays."""
        self.routes, self.channels, self.kinds = other.routes, other.channels, other.kinds
        self.renderers, self.digest_channels = other.renderers, other.digest_channels
        self.public_url, self.heartbeat_url = other.public_url, other.heartbeat_url

    # --- what is told: rows, in the caller's transaction -----------------------------------------------------------

    def about_incidents(self, at: datetime, unit: Unit, changes: Sequence[IncidentChange]) -> int:
        """Messages of incidents into the outbox; how many."""
        count = 0
        for change in changes:
            incident = change.incident
            labels = {**(change.alerts[0].labels if change.alerts else {}), **incident.labels}
            before = self.changes(unit, incident) if change.kind == "firing" else ()
            for name in channels_for(self.routes, labels, change.severity, list(self.channels)):
                message = story(self.renderers[name], change.kind, change.reason, incident, change.alerts, at, before)
                rank, chain = change.severity.rank, incident.correlation_id
                key = f"{change.key}@{name}"
                count += unit.outbox.put(name, key, message, priority=rank, at=at, correlation_id=chain) is not None
        return count

    def about_actions(self, at: datetime, unit: Unit, changes: Sequence[ActionChange]) -> int:
        """Messages of actions into the outbox; how many."""
        count = 0
        for change in changes:
            record = unit.actions.get(change.action_id)
            if record is None or change.state in QUIET or change.kind in PASSING:
                continue
            incident = unit.incidents.get(change.incident_id) if change.incident_id else None
            labels = dict(incident.labels) if incident else {}
            for name in channels_for(self.routes, labels, change.severity, list(self.channels)):
                told = replace(record, state=change.state)
                message = self.renderers[name].action(told, at, reason=change.reason)
                key = f"{change.action_id}/{change.kind}/{change.state}@{name}"
                count += (
                    unit.outbox.put(
                        name,
                        key,
                        replace(message, severity=change.severity, subject_id=change.action_id),
                        priority=0 if change.page else change.severity.rank,
                        at=at,
                        correlation_id=record.correlation_id,
                    )
                    is not None
                )
        return count

    # --- delivery --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There are new messages: do not wait for the next second. Called from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; the next start delivers
                self._loop.call_soon_threadsafe(self._news.set)

    async def start(self, now: datetime) -> None:
        """Messages that were being sent when we died go again, marked as a possible repeat."""
        repeated = await asyncio.to_thread(recover, self.state, now)
        if repeated:
            log.warning("messages may be repeated", count=repeated)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver whenever there is news, until told to stop."""
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            news = asyncio.create_task(self._news.wait())
            await asyncio.wait([news, stopping], return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            self._news.clear()
            if not stop.is_set():
                try:
                    await self.deliver(self.clock.now())
                except WatchkeeperError as error:  # the next second's job tries again; news must still be heard
                    log.error("not delivered now", error=str(error))
        self._loop = None

    async def deliver(self, now: datetime) -> None:
        """Send what is due. One delivery at a time; a second call waits for the first."""
        if not self.channels or not self.leads():
            return
        async with self._turn:
            due = await asyncio.to_thread(self._due, now)
            if due:
                await deliver(now, self.state, list(self.channels.values()), self.outbound, escalate=self._channel_off)

    def _due(self, now: datetime) -> bool:
        with self.state.read() as unit:
            return bool(unit.outbox.due(now, 1))

    def _channel_off(self, unit: Unit, channel: str, reason: str, now: datetime) -> None:
        """A robot is gone for good: everybody else is told."""
        log.error("channel switched off", channel=channel, reason=reason)
        for name, renderer in self.renderers.items():
            if name != channel and not switched_off(unit, name):
                message = renderer.channel_off(channel, reason, now)
                unit.outbox.put(name, f"off/{channel}/{now.isoformat()}@{name}", message, priority=1, at=now)

    # --- regular messages ------------------------------------------------------------------------------------------

    async def digest(self, now: datetime, figures: Mapping[str, int]) -> None:
        """The daily "I am alive"."""
        await asyncio.to_thread(self._digest, now, figures)
        await self.deliver(now)

    def _digest(self, now: datetime, figures: Mapping[str, int]) -> None:
        with self.state.begin() as unit:
            recent = unit.incidents.recent(now - DAY)
            counts = unit.outbox.counts()
            facts = {
                "open": len(unit.incidents.open()),
                "opened": len(recent),
                "healthy": figures["sources"] - figures["failing"],
                "total": figures["sources"],
                "actions": len(unit.actions.recent(now - DAY)),
                "sent": sum(count for (_channel, state), count in counts.items() if state == "sent"),
                "queued": sum(count for (_channel, state), count in counts.items() if state == "queued"),
                "head": unit.audit.head()[1][:16],
            }
            for name in self.digest_channels:
                message = self.renderers[name].daily(facts, now)
                unit.outbox.put(name, f"daily/{now:%Y-%m-%d}@{name}", message, priority=3, at=now)

    async def send_report(
        self, names: Sequence[str], report_id: str, rows: Sequence[Mapping[str, Any]], files: Any, now: datetime
    ) -> None:
        """A report as an attachment to e-mail and as a link to robots."""

        def put() -> None:
            warned = [
                (f"{row['pool']} {row['resource']}", datetime.fromisoformat(row["earliest"]))
                for row in rows
                if row["earliest"]
            ]
            with self.state.begin() as unit:
                for name in names:
                    attached = files if self.kinds[name] == "email" else ()
                    message = self.renderers[name].report(report_id, warned, now, total=len(rows), attachments=attached)
                    unit.outbox.put(name, f"{report_id}@{name}", message, priority=3, at=now)

        await asyncio.to_thread(put)
        await self.deliver(now)

    async def heartbeat(self) -> str:
        """Tell the dead-man switch outside that all is well: delivered, refused or failed.

        Silence is what raises the alarm there.
        """
        try:
            response = await self.outbound.request("GET", self.heartbeat_url)
        except OutboundError as error:
            log.warning("heartbeat not delivered", reason=error.reason)
            return "failed"
        if not 200 <= response.status < 300:
            log.warning("heartbeat refused; is notify.heartbeat.url still right?", status=response.status)
            return "refused"
        return "delivered"

    async def test(self, channel: str, language: str, actor: str, now: datetime) -> dict[str, Any]:
        """Send one test message now; what became of it."""
        if channel not in self.channels:
            known = ", ".join(self.channels) or "none"
            raise ConfigError(f"there is no channel {channel!r}; configured: {known}", key="notify.channels")
        message: Message = replace(self.renderers[channel], language=language).test(channel, actor, now)
        key = f"test/{secrets.token_hex(8)}@{channel}"

        def put() -> int | None:
            with self.state.begin() as unit:
                unit.audit.append(actor, "notify_test", channel, {}, at=now)
                return unit.outbox.put(channel, key, message, priority=1, at=now)

        row = await asyncio.to_thread(put)
        await self.deliver(now)

        def look() -> dict[str, Any]:
            with self.state.read() as unit:
                found = unit.outbox.get(row) if row is not None else None
            return {"state": found.state if found else "unknown", "detail": found.detail if found else ""}

        return await asyncio.to_thread(look)

    def channels_view(self) -> list[dict[str, Any]]:
        """How each channel fares."""
        with self.state.read() as unit:
            counts = unit.outbox.counts()
            recent = unit.outbox.recent(500)
            off = {name: switched_off(unit, name) for name in self.channels}
        rows = []
        for name, kind in self.kinds.items():
            mine = [row for row in recent if row.channel == name]
            last_ok = next((row.finished_at for row in mine if row.state == "sent"), None)
            error = next((row.detail for row in mine if row.state in ("failed", "queued") and row.attempts), "")
            rows.append(
                {
                    "name": name,
                    "kind": kind,
                    "state": "off" if off[name] else "on",
                    "last_ok_at": shapes.moment(last_ok),
                    "last_error": off[name] or error,
                    "queued": counts.get((name, "queued"), 0),
                }
            )
        return rows


def _check_names(loaded: Loaded, routes: Sequence[Route], known: Mapping[str, Channel]) -> None:
    """Routes, digests and reports may only name channels that exist."""
    for index, route in enumerate(routes):
        for name in route.channels:
            if name not in known:
                raise loaded.document.error(f"there is no channel {name!r}", ("notify", "routes", index, "channels"))
    for name in loaded.config.notify.digest_channels:
        if name not in known:
            raise loaded.document.error(f"there is no channel {name!r}", ("notify", "digest_channels"))
    for name in loaded.config.capacity.report_channels:
        if name not in known:
            raise loaded.document.error(f"there is no channel {name!r}", ("capacity", "report_channels"))
