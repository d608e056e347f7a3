"""Messages reach people: paced, folded, repeated, marked, and each accounted for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.robots import SECRET, TOKEN, Robots, robots
from support.states import NOON, sqlite_state

from notifiers import BUILTIN
from notifiers.base import ChannelOffError
from notifiers.delivery import Channel, deliver, recover, switch_on, switched_off
from notifiers.digest import digest, paired
from notifiers.pace import Limits, Pace
from watchkeeper.clock import ManualClock
from watchkeeper.errors import DeliveryError
from watchkeeper.model import Message, Severity
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Receipt
from watchkeeper.registry import Registry
from watchkeeper.store.state import State

ROBOT = Limits()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    found = sqlite_state(tmp_path)
    yield found
    found.close()


@dataclass
class Ear:
    """Hears messages, or fails as told; keeps when each came."""

    fail: Exception | None = None
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    heard: list[tuple[datetime, str, Message]] = field(default_factory=list)
    tries: list[datetime] = field(default_factory=list)

    async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:
        self.tries.append(self.clock.now())
        if self.fail is not None:
            raise self.fail
        self.heard.append((self.clock.now(), key, message))
        return Receipt(code="0", detail="ok")

    @property
    def titles(self) -> list[str]:
        return [message.title for _, _, message in self.heard]


def message(number: int, kind: str = "firing", severity: Severity = Severity.P2, **more: Any) -> Message:
    word = "已恢复" if kind == "resolved" else severity.value
    values: dict[str, Any] = {"at": NOON, "lines": ("x",), "subject_id": f"inc-{number}", **more}
    return Message(kind=kind, title=f"[{word}] alert {number}", severity=severity, **values)


def put(state: State, *messages: Message, at: datetime = NOON, channel: str = "ding") -> None:
    with state.begin() as unit:
        for one in messages:
            key = f"{one.subject_id}/{one.kind}"
            priority = one.severity.rank if one.severity else 3
            assert unit.outbox.put(channel, key, one, priority=priority, at=at) is not None


def counts(state: State) -> Counter[str]:
    found: Counter[str] = Counter()
    with state.read() as unit:
        for (_, word), count in unit.outbox.counts().items():
            found[word] += count
    return found


class Run:
    """The delivery step every second of a manual clock."""

    def __init__(self, state: State, *channels: Channel, clock: ManualClock, **more: Any) -> None:
        self.state, self.channels, self.clock, self.more = state, channels, clock, more
        self.total: Counter[str] = Counter()

    async def seconds(self, count: float, step: float = 1.0) -> Counter[str]:
        end = self.clock.now() + timedelta(seconds=count)
        outbound = Outbound(allow_private=True)
        while self.clock.now() < end:
            now = self.clock.now()
            found = await deliver(now, self.state, self.channels, outbound, chance=random.Random(7), **self.more)
            self.total.update(found)
            self.clock.advance(step)
        await outbound.aclose()
        return self.total


def ding(ear: Ear, **more: Any) -> Channel:
    return Channel(name="ding", notifier=ear, limits=ROBOT, zone=ZoneInfo("Asia/Shanghai"), **more)


async def test_a_few_messages_go_one_by_one_the_most_urgent_first(state: State) -> None:
    ear = Ear()
    put(state, message(1), message(2, severity=Severity.P0), message(3))
    total = await Run(state, ding(ear), clock=ear.clock).seconds(1)
    assert ear.titles == ["[P0] alert 2", "[P2] alert 1", "[P2] alert 3"]
    assert (total["sent"], counts(state)) == (3, {"sent": 3})


async def test_a_backlog_is_one_digest_with_p0_alone_before_it_and_resolved_in_it(state: State) -> None:
    ear = Ear()
    put(state, *(message(number) for number in range(40)), message(50, severity=Severity.P0))
    put(state, message(3, "resolved"), message(99, "resolved"))
    total = await Run(state, ding(ear), clock=ear.clock).seconds(1)
    assert ear.titles[0] == "[P0] alert 50"
    folded = ear.heard[1][2]
    assert folded.title == "汇总：42 条消息（P0 0，触发 40，恢复 2）"
    assert folded.lines[0] == "恢复 03-01 20:00:00 [已恢复] alert 99"
    assert "已触发并恢复 03-01 20:00:00 → 03-01 20:00:00 [P2] alert 3" in folded.lines
    assert [line[-7:] for line in folded.lines[1:4]] == ["alert 0", "alert 1", "alert 2"]
    assert total == {"sent": 2, "folded": 42, "retried": 0, "failed": 0, "off": 0}
    assert counts(state) == {"sent": 2, "folded": 42}


async def test_a_storm_never_trips_the_robots_limit_and_every_alert_is_accounted_for(state: State) -> None:
    clock = ManualClock(NOON)
    async with robots(now=clock.now) as double:
        notifier = Registry("notifiers", BUILTIN).build(
            "dingtalk",
            {
                "token": TOKEN,
                "secret": SECRET,
                "base_url": double.base,
                "allow_hosts": ("127.0.0.1",),
                "now": clock.now,
            },
        )
        run = Run(state, Channel(name="ding", notifier=notifier, limits=ROBOT), clock=clock)
        for second in range(10):
            severity = [Severity.P0, Severity.P1, Severity.P2, Severity.P3][second % 4]
            put(state, *(message(second * 1000 + n, severity=severity) for n in range(60)), at=clock.now())
            await run.seconds(1)
        await run.seconds(900, step=15)
    assert double.lockouts == 0
    total = counts(state)
    with state.read() as unit:
        raised = [row for row in unit.outbox.recent(10_000) if row.message.kind != "digest"]
        digests = [row for row in unit.outbox.recent(10_000) if row.message.kind == "digest"]
    assert len(raised) == 600
    assert {row.state for row in raised + digests} == {"sent", "folded"}
    told = sum(int(row.idempotency_key.rpartition("/")[2]) for row in digests)
    assert told == total["folded"] == 600 - sum(row.state == "sent" for row in raised)
    assert "P0" in double.accepted[0].json["markdown"]["title"]
    _in_any_window(double, 60, 6)
    _in_any_window(double, 600, 20)


def _in_any_window(double: Robots, seconds: float, most: int) -> None:
    times = [int(request.target.partition("timestamp=")[2][:13]) / 1000 for request in double.requests]
    assert times
    assert max(sum(start <= at < start + seconds for at in times) for start in times) <= most


async def test_two_hours_of_outage_lose_nothing_and_return_in_a_few_messages(state: State) -> None:
    ear = Ear(fail=DeliveryError("no connection", code="connect"))
    run = Run(state, ding(ear), clock=ear.clock)
    for number in range(30):
        put(state, message(number, at=ear.clock.now()), at=ear.clock.now())
        if number % 2:
            put(state, message(number, "resolved", at=ear.clock.now()), at=ear.clock.now())
        await run.seconds(240, step=40)
    assert ear.heard == []
    assert len(ear.tries) < 40, "a closed door is knocked at with growing pauses"
    ear.fail = None
    await run.seconds(700, step=10)
    first = ear.heard[0][0]
    assert len([at for at, _, _ in ear.heard if at < first + timedelta(minutes=1)]) <= 10
    text = "\n".join(line for _, _, one in ear.heard for line in (one.title, *one.lines))
    for number in range(30):
        assert f"alert {number}\n" in text + "\n"
    assert counts(state)["queued"] == 0
    assert "已触发并恢复" in text


async def test_a_crash_between_sending_and_writing_repeats_the_message_and_says_so(state: State) -> None:
    ear = Ear()
    put(state, message(1))
    with state.begin() as unit:
        unit.outbox.mark(unit.outbox.due(NOON)[0], "sending", at=NOON)
    run = Run(state, ding(ear), clock=ear.clock)
    await run.seconds(1)
    assert ear.titles == []
    assert recover(state, ear.clock.now()) == 1
    await run.seconds(1)
    assert ear.titles == ["[可能重复] [P2] alert 1"]
    assert recover(state, ear.clock.now()) == 0


@pytest.mark.parametrize(
    ("code", "marked"), [("timeout", True), ("broken", True), ("connect", False), ("130101", False)]
)
async def test_only_what_may_have_arrived_is_marked_as_a_repeat(state: State, code: str, marked: bool) -> None:
    ear = Ear(fail=DeliveryError("x", code=code))
    put(state, message(1))
    run = Run(state, ding(ear), clock=ear.clock)
    await run.seconds(1)
    ear.fail = None
    await run.seconds(15)
    assert [title.startswith("[可能重复]") for title in ear.titles] == [marked]
    assert len({key for _, key, _ in ear.heard}) == 1


async def test_the_receivers_own_wait_is_honoured(state: State) -> None:
    ear = Ear(fail=DeliveryError("blocked", code="130101", retry_after=600))
    put(state, message(1), message(2, severity=Severity.P0))
    run = Run(state, ding(ear), clock=ear.clock)
    await run.seconds(595, step=5)
    assert len(ear.tries) == 1
    ear.fail = None
    await run.seconds(10, step=5)
    assert ear.titles == ["[P0] alert 2", "[P2] alert 1"]


async def test_a_message_refused_for_itself_fails_alone_and_is_audited(state: State) -> None:
    class Picky(Ear):
        async def send(self, message: Message, *, key: str, outbound: Outbound) -> Receipt:
            if "alert 1" in message.title:
                raise DeliveryError("dingtalk 40035: too long", permanent=True, code="40035")
            return await super().send(message, key=key, outbound=outbound)

    ear = Picky()
    put(state, message(1), message(2))
    total = await Run(state, ding(ear), clock=ear.clock).seconds(1)
    assert (total["failed"], ear.titles) == (1, ["[P2] alert 2"])
    with state.read() as unit:
        assert [(row.action, row.subject, row.detail["code"]) for row in unit.audit.rows()] == [
            ("delivery.failed", "inc-1/firing", "40035")
        ]


async def test_a_dead_robot_switches_the_channel_off_and_its_messages_move_on(state: State) -> None:
    ear, other = Ear(fail=ChannelOffError("token is gone", code="300005")), Ear()
    told: list[tuple[str, str]] = []
    put(state, message(1), message(2), message(3))
    channels = (ding(ear, fallback="mail"), Channel(name="mail", notifier=other))
    hook = {"escalate": lambda unit, channel, reason, now: told.append((channel, reason))}
    run = Run(state, *channels, clock=ear.clock, **hook)
    total = await run.seconds(3)
    assert total["off"] == 1
    assert len(ear.tries) == 1
    assert told == [("ding", "token is gone")]
    assert other.titles == ["[P2] alert 1", "[P2] alert 2", "[P2] alert 3"]
    with state.read() as unit:
        assert switched_off(unit, "ding") == "token is gone"
        assert [row.action for row in unit.audit.rows()] == ["channel.off"]
    put(state, message(4))
    await run.seconds(3)
    assert counts(state)["queued"] == 1
    ear.fail = None
    switch_on(state, "ding", actor="ann", now=ear.clock.now())
    await run.seconds(3)
    assert ear.titles == ["[P2] alert 4"]


async def test_without_a_fallback_the_messages_wait(state: State) -> None:
    ear = Ear(fail=ChannelOffError("gone", code="93000"))
    put(state, message(1), message(2))
    await Run(state, ding(ear), clock=ear.clock).seconds(10)
    assert counts(state) == {"queued": 2}


async def test_a_message_nobody_takes_for_a_day_is_given_up_and_audited(state: State) -> None:
    ear = Ear(fail=DeliveryError("HTTP 500", code="http_500"))
    put(state, message(1))
    await Run(state, ding(ear), clock=ear.clock).seconds(25 * 3600, step=900)
    assert counts(state) == {"failed": 1}
    with state.read() as unit:
        assert [row.action for row in unit.audit.rows()] == ["delivery.failed"]


async def test_a_bug_in_one_sender_is_heard_and_stops_no_other_channel(state: State) -> None:
    broken, fine = Ear(fail=ZeroDivisionError()), Ear()
    put(state, message(1), message(2))
    put(state, message(3), channel="mail")
    channels = (ding(broken), Channel(name="mail", notifier=fine))
    outbound = Outbound(allow_private=True)
    with pytest.raises(ZeroDivisionError):
        await deliver(NOON, state, channels, outbound)
    assert fine.titles == ["[P2] alert 3"]
    broken.fail = None
    await deliver(NOON + timedelta(minutes=1), state, channels, outbound)
    await outbound.aclose()
    assert broken.titles == ["[可能重复] [P2] alert 1", "[P2] alert 2"]


async def test_the_kept_slot_is_for_p0_alone(state: State) -> None:
    ear = Ear()
    run = Run(state, ding(ear), clock=ear.clock)
    for number in range(8):
        put(state, message(number), at=ear.clock.now())
        await run.seconds(1)
    assert len(ear.heard) == 5
    put(state, message(50, severity=Severity.P0), at=ear.clock.now())
    await run.seconds(1)
    assert ear.titles[-1] == "[P0] alert 50"
    await run.seconds(60)
    assert "汇总：3 条消息" in ear.titles[-1]


async def test_a_report_with_attachments_is_never_folded(state: State) -> None:
    ear = Ear()
    put(state, *(message(number) for number in range(20)))
    put(state, message(77, "report", attachments=(("r.csv", "text/csv", b"x"),)))
    await Run(state, ding(ear), clock=ear.clock).seconds(1)
    assert {one.kind for _, _, one in ear.heard} == {"digest", "report"}
    assert [one.attachments for _, _, one in ear.heard if one.kind == "report"] == [(("r.csv", "text/csv", b"x"),)]


async def test_the_pace_survives_a_restart(state: State) -> None:
    ear = Ear()
    put(state, *(message(number) for number in range(5)))
    await Run(state, ding(ear), clock=ear.clock).seconds(1)
    put(state, *(message(number) for number in range(10, 15)))
    await Run(state, ding(ear), clock=ear.clock).seconds(30)
    assert len(ear.heard) == 5


def test_pace_reads_back_as_it_was_written() -> None:
    pace = Pace((NOON, NOON + timedelta(seconds=1)), NOON, 3)
    assert Pace.read(pace.plain()) == pace
    assert Pace.read(None) == Pace()
    assert Pace((NOON + timedelta(hours=1),)).slots(NOON, Limits(per_minute=1), urgent=True) == 0


def test_a_long_digest_shows_p0_first_and_counts_the_rest(state: State) -> None:
    put(state, *(message(number) for number in range(150)), message(500, severity=Severity.P0))
    with state.read() as unit:
        due = unit.outbox.due(NOON, 1000)
    found = digest(due, NOON, ZoneInfo("UTC"))
    assert found.lines[0].endswith("[P0] alert 500")
    assert found.lines[-1] == "另有 51 条，请到页面查看"
    assert (len(found.lines), found.severity) == (101, Severity.P0)
    assert len(paired(due)) == 151
