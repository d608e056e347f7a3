"""Takes messages out of the outbox and brings them to people: paced, folded, repeated, and never lost.

Queued = sent + folded + failed + still queued. A message is marked ``sending`` before the request and ``sent`` after
the receiver's own word for it; a crash between the two is found by ``recover`` and repeats the message, marked so.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from watchkeeper.errors import DeliveryError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Notifier
from watchkeeper.store.state import Delivery, State, Unit

from .base import UNSURE, ChannelOffError
from .digest import digest
from .pace import FREE, Limits, Pace
from .render import marked_repeat

#: A message that found no open ear for this long is given up, and the audit says so.
GIVE_UP = timedelta(hours=24)
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(minutes=10)
#: Messages looked at in one call and channel.
MOST = 20_000

#: Told in the same transaction when a channel is switched off: (unit, channel, reason, now).
Escalate = Callable[[Unit, str, str, datetime], None]


def _nothing(_unit: Unit, _channel: str, _reason: str, _now: datetime) -> None:
    """No escalation is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One configured channel. ``robots`` have the limits of chat services, others are free."""

    name: str
    notifier: Notifier
    limits: Limits = FREE
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))  #: of the times in digests
    fallback: str = ""  #: channel that takes over its messages when it is switched off


def recover(state: State, now: datetime) -> int:
    """At start: what was being sent when the process died goes again, marked as a possible repeat."""
    with state.begin() as unit:
        found = unit.outbox.interrupted()
        for delivery in found:
            unit.outbox.mark(
                delivery, "queued", at=now, detail="interrupted while sending", retry_at=now, possible_repeat=True
            )
    return len(found)


def switch_on(state: State, channel: str, *, actor: str, now: datetime) -> None:
    """An operator mended the channel: what waits goes out."""
    with state.begin() as unit:
        unit.documents.remove(_off_key(channel))
        unit.documents.put(_pace_key(channel), Pace().plain(), at=now)
        unit.audit.append(actor, "channel.on", channel, {}, at=now)


def switched_off(unit: Unit, channel: str) -> str:
    """Why the channel is off; empty when it is on."""
    return str(unit.documents.get(_off_key(channel), ""))


async def deliver(
    now: datetime,
    state: State,
    channels: Sequence[Channel],
    outbound: Outbound,
    *,
    escalate: Escalate = _nothing,
    chance: random.Random | None = None,
) -> Mapping[str, int]:
    """Send what is due, each channel by its pace; returns counts of sent, retried, failed, folded and off."""
    jitter = chance or random.Random()  # noqa: S311 - spreads retries, guards nothing
    runs = [_Run(now, state, channel, outbound, escalate, jitter) for channel in channels]
    found = await asyncio.gather(*(run.step() for run in runs), return_exceptions=True)
    total = dict.fromkeys(("sent", "retried", "failed", "folded", "off"), 0)
    for counts in found:
        if isinstance(counts, BaseException):
            raise counts  # after every channel had its turn
        for word, count in counts.items():
            total[word] += count
    return total


@dataclass(frozen=True, slots=True)
class _Run:
    """One channel at one moment."""

    now: datetime
    state: State
    channel: Channel
    outbound: Outbound
    escalate: Escalate
    jitter: random.Random

    async def step(self) -> Counter[str]:
        """Stops when the channel is closed for now or for good; what is refused for itself lets the next one try."""
        done: Counter[str] = Counter()
        sending, folded = await asyncio.to_thread(self._take)
        done["folded"] += folded
        for place, delivery in enumerate(sending):
            try:
                error = await self._send(delivery)
            except Exception as crash:
                await asyncio.to_thread(self._put_back, sending[place:], f"crash: {type(crash).__name__}")
                raise
            closed = error is not None and (not error.permanent or isinstance(error, ChannelOffError))
            if closed:
                await asyncio.to_thread(self._put_back, sending[place + 1 :], "the channel is not open now")
            done[await asyncio.to_thread(self._settle, delivery, error)] += 1
            if closed:
                break
        return done

    def _take(self) -> tuple[list[Delivery], int]:
        """(what to send now, already marked as being sent; how many were folded)"""
        with self.state.read() as unit:  # writers wait for nobody while there is nothing to do
            if switched_off(unit, self.channel.name) or not unit.outbox.due(self.now, 1, self.channel.name):
                return [], 0
        with self.state.begin() as unit:
            due = unit.outbox.due(self.now, MOST, self.channel.name)
            pace = self._pace(unit)
            chosen, rest = self._choose(due, pace)
            if not chosen and not rest:
                return [], 0
            if rest:
                chosen = [*chosen, self._fold(unit, rest)]
            for delivery in chosen:
                unit.outbox.mark(delivery, "sending", at=self.now)
                pace = pace.tried(self.now)
            unit.documents.put(_pace_key(self.channel.name), pace.plain(), at=self.now)
        sending = [replace(one, state="sending", attempts=one.attempts + 1) for one in chosen]
        return sending, len(rest)

    def _choose(self, due: list[Delivery], pace: Pace) -> tuple[list[Delivery], list[Delivery]]:
        """(to send as they are, to fold into one digest). A P0 may use the slot that is kept for it."""
        limits = self.channel.limits
        slots = pace.slots(self.now, limits, urgent=False)
        if slots == 0:
            kept = due[0].priority == 0 and pace.slots(self.now, limits, urgent=True) > 0
            return due[: int(kept)], []
        if len(due) <= slots:
            return due, []
        alone = [one for one in due if one.message.kind == "digest" or one.message.attachments]
        rest = [one for one in due if one.message.kind != "digest" and not one.message.attachments]
        chosen = alone[: max(slots - 1, 1)] if rest else alone[:slots]
        if len(chosen) == slots:
            return chosen, []
        if rest and rest[0].priority == 0 and len(chosen) < slots - 1:
            chosen = [rest.pop(0), *chosen]  # the first P0 of a storm is read on its own
        return ([*chosen, *rest], []) if len(rest) < 2 else (chosen, rest)

    def _fold(self, unit: Unit, rest: list[Delivery]) -> Delivery:
        """The digest is a row like any other, so it is repeated like any other."""
        ids = sorted(one.id for one in rest)
        key = f"digest/{self.channel.name}/{ids[0]}-{ids[-1]}/{len(ids)}"
        message = digest(rest, self.now, self.channel.zone)
        priority = min(one.priority for one in rest)
        row = unit.outbox.put(self.channel.name, key, message, priority=priority, at=self.now)
        if row is None:
            raise AssertionError(f"{key} was folded twice")
        unit.outbox.fold(rest, key, at=self.now)
        found = unit.outbox.get(row)
        assert found is not None
        repeat = any(one.possible_repeat for one in rest)
        return replace(found, possible_repeat=repeat)

    async def _send(self, delivery: Delivery) -> DeliveryError | None:
        message = marked_repeat(delivery.message) if delivery.possible_repeat else delivery.message
        try:
            await self.channel.notifier.send(message, key=delivery.idempotency_key, outbound=self.outbound)
        except DeliveryError as error:
            return error
        return None

    def _settle(self, delivery: Delivery, error: DeliveryError | None) -> str:
        """Write down what became of it, and answer the word to count."""
        with self.state.begin() as unit:
            pace = self._pace(unit)
            if error is None:
                unit.outbox.mark(delivery, "sent", at=self.now, detail="ok")
                self._keep(unit, replace(pace, until=None, failures=0))
                return "sent"
            if isinstance(error, ChannelOffError):
                self._requeue(unit, delivery, str(error), self.now)
                self._switch_off(unit, str(error))
                return "off"
            if error.permanent or self.now - delivery.created_at >= GIVE_UP:
                unit.outbox.mark(delivery, "failed", at=self.now, detail=str(error))
                unit.audit.append("engine", "delivery.failed", delivery.idempotency_key, self._why(error), at=self.now)
                return "failed"
            until = self.now + self._wait(pace.failures, error.retry_after)
            self._keep(unit, replace(pace, until=until, failures=pace.failures + 1))
            unsure = delivery.possible_repeat or error.code in UNSURE
            self._requeue(unit, delivery, str(error), until, possible_repeat=unsure)
            return "retried"

    def _put_back(self, left: Sequence[Delivery], detail: str) -> None:
        """Undo the mark of what was not sent after all. After a crash the first of them may have been."""
        with self.state.begin() as unit:
            for place, delivery in enumerate(left):
                unsure = True if place == 0 and detail.startswith("crash") else None
                self._requeue(unit, delivery, detail, self.now + FIRST_RETRY, possible_repeat=unsure)

    def _requeue(
        self, unit: Unit, delivery: Delivery, detail: str, at: datetime, *, possible_repeat: bool | None = None
    ) -> None:
        unit.outbox.mark(delivery, "queued", at=self.now, detail=detail, retry_at=at, possible_repeat=possible_repeat)

    def _wait(self, failures: int, stated: float | None) -> timedelta:
        """What the receiver asks for, and never less than a growing, scattered wait of our own."""
        grown = min(FIRST_RETRY * (1 << min(failures, 10)), LONGEST_RETRY)
        scattered = grown * (0.75 + 0.5 * self.jitter.random())
        return max(scattered, timedelta(seconds=stated or 0))

    def _switch_off(self, unit: Unit, reason: str) -> None:
        name, fallback = self.channel.name, self.channel.fallback
        unit.documents.put(_off_key(name), reason, at=self.now)
        unit.audit.append("engine", "channel.off", name, {"reason": reason, "fallback": fallback}, at=self.now)
        if fallback:
            for one in unit.outbox.due(self.now + GIVE_UP, MOST, name):
                key = f"{one.idempotency_key}@{fallback}"
                unit.outbox.put(
                    fallback, key, one.message, priority=one.priority, at=self.now, correlation_id=one.correlation_id
                )
                unit.outbox.mark(one, "failed", at=self.now, detail=f"channel is off; moved to {fallback}")
        self.escalate(unit, name, reason, self.now)

    def _why(self, error: DeliveryError) -> dict[str, object]:
        return {"channel": self.channel.name, "code": error.code, "reason": str(error)}

    def _pace(self, unit: Unit) -> Pace:
        return Pace.read(unit.documents.get(_pace_key(self.channel.name)))

    def _keep(self, unit: Unit, pace: Pace) -> None:
        unit.documents.put(_pace_key(self.channel.name), pace.plain(), at=self.now)


def _pace_key(channel: str) -> str:
    return f"channel/{channel}/pace"


def _off_key(channel: str) -> str:
    return f"channel/{channel}/off"
