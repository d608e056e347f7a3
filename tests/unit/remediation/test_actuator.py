"""The last check before an effect, its journal, its socket, and what is left when it is killed."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.actuator_process import Child, Tally, numbered, targets
from support.remediator import Pool
from support.remedies import PLAN, intent_of

from remediation.actuator import Actuator, Journal, SocketClient, serve
from remediation.actuator.frames import MAX_BYTES, pack
from remediation.actuator.server import answer_to
from remediation.plan import plan_from
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, Plan, Target

WEB = {"web": {"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}}


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="wk-"))
    yield made
    shutil.rmtree(made)


class Desk:
    """An actuator over a pool in memory, and intents that fit it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pool = folder, Pool()
        self.open()

    def open(self, targets: Mapping[str, Any] = WEB) -> None:
        self.journal = Journal(self.folder / "journal", compact_bytes=1)
        self.actuator = Actuator(self.journal, targets, self.folder / "kill-switch", kinds=lambda _: self.pool)

    def plan(self, **changes: Any) -> Plan:
        epoch = self.pool.read(Target(kind="haproxy", name="web"), {}).epoch
        web = Target(kind="haproxy", name="web", epoch=f"{epoch}.0")
        return replace(PLAN, **{"targets": (web,), **changes})

    def intent(self, token: int, **changes: Any) -> Intent:
        return replace(intent_of(self.plan(**changes), token=token), idempotency_key=f"key-{token}")


@pytest.fixture
def desk(folder: Path) -> Desk:
    return Desk(folder)


def test_one_key_has_one_effect_and_the_same_answer_ever_after(desk: Desk) -> None:
    intent = desk.intent(5)
    first = desk.actuator.submit(intent)
    assert first["state"] == "done"
    assert desk.actuator.submit(intent) == first
    desk.open()
    assert desk.actuator.submit(intent) == first
    assert desk.actuator.outcome("key-5") == first
    assert len(desk.pool.effects) == 1


def test_lower_tokens_are_refused_even_after_a_restart(desk: Desk) -> None:
    desk.actuator.submit(desk.intent(5))
    desk.open()
    stale = desk.actuator.submit(desk.intent(4))
    assert (stale["state"], stale["detail"]) == ("refused", "token 4 is not above 5")
    assert desk.actuator.submit(desk.intent(6))["state"] == "done"
    assert [intent.token for intent in desk.pool.effects] == [5, 6]


def test_a_target_that_changed_since_the_plan_is_left_alone(desk: Desk) -> None:
    intent = desk.intent(5)
    desk.pool.servers["web3"]["weight"] = 1
    assert desk.actuator.submit(intent)["detail"] == "the target changed since the plan was made"
    assert desk.pool.effects == []


def test_an_actuator_of_another_host_has_numbers_of_its_own_so_the_target_itself_must_say_no(folder: Path) -> None:
    """As docs/remediation.md says of several hosts: refused when the target changed meanwhile, done when it did not."""
    here = Desk(folder)
    there = Actuator(Journal(folder / "other"), WEB, folder / "kill-switch", kinds=lambda _: here.pool)
    slept = here.intent(5)
    assert there.submit(here.intent(6))["state"] == "done"  # the new leader's, through the actuator of its own host
    assert here.actuator.submit(slept)["detail"] == "the target changed since the plan was made"
    assert here.pool.executed() == 1
    slept = here.intent(7)
    assert there.outcome(slept.idempotency_key)["state"] == "refused"  # revoked there, where it was never heard of
    assert here.actuator.submit(slept)["state"] == "done"
    shared = here.actuator
    assert shared.submit(here.intent(6))["detail"] == "token 6 is not above 7"  # with one for all nothing of it happens


def test_a_plan_for_a_target_that_is_configured_otherwise_by_now_is_refused_there_and_back(desk: Desk) -> None:
    there = desk.intent(5)
    back = replace(desk.intent(6), operation="rollback")
    same = desk.actuator.read(Target(kind="haproxy", name="web")).epoch
    turned = dict(reversed({**WEB["web"], "test_target": "canary"}.items()))
    for unchanged in (WEB["web"], turned):  # a restart is no other target, nor is where it is rehearsed
        desk.open({"web": unchanged})
        assert desk.actuator.read(Target(kind="haproxy", name="web")).epoch == same
    for backend, epoch in (("tills", f"{same}@1"), ("tills", f"{same}@1"), ("shop", f"{same}@2")):
        desk.open({"web": {**WEB["web"], "backend": backend, "test_target": "other"}})
        assert desk.actuator.read(Target(kind="haproxy", name="web")).epoch == epoch
        for intent in (there, back):
            moved = replace(intent, token=intent.token + 10, idempotency_key=f"{intent.idempotency_key}{epoch}")
            assert "configured otherwise" in desk.actuator.submit(moved)["detail"]
    web = Target(kind="haproxy", name="web", epoch=f"{same}@2.0")
    assert desk.actuator.submit(desk.intent(30, targets=(web,)))["state"] == "done"


def test_the_way_back_is_refused_when_somebody_else_was_there(desk: Desk) -> None:
    done, back = desk.intent(5), replace(desk.intent(6), operation="rollback")
    desk.actuator.submit(done)
    desk.pool.servers["web1"]["state"] = "maint"
    assert desk.actuator.submit(back)["detail"] == "somebody else changed the target since"
    assert desk.pool.servers["web1"]["state"] == "maint"


def test_an_unreadable_target_and_an_empty_plan_are_refused(desk: Desk) -> None:
    assert "nothing means nothing" in desk.actuator.submit(desk.intent(5, desired={}))["detail"]
    back = replace(desk.intent(6, rollback={}), operation="rollback")
    assert "nothing means nothing" in desk.actuator.submit(back)["detail"]
    intent = desk.intent(7)
    desk.pool.dark = True
    assert "cannot be read" in desk.actuator.submit(intent)["detail"]


def test_the_kill_switch_file_is_read_before_every_effect_and_lets_the_way_back_through(desk: Desk) -> None:
    desk.actuator.submit(desk.intent(5))
    back = replace(intent_of(desk.plan(), token=7), operation="rollback", idempotency_key="back")
    intent = desk.intent(6)
    (desk.folder / "kill-switch").write_text("eve: stop")
    refused = desk.actuator.submit(intent)
    assert refused["detail"] == "the kill switch is set: eve: stop"
    assert desk.actuator.submit(back)["state"] == "done"
    (desk.folder / "kill-switch").unlink()
    assert desk.actuator.submit(intent) == refused  # this key is settled
    assert desk.actuator.submit(desk.intent(8))["state"] == "done"


@pytest.mark.parametrize("operation", ["execute", "rollback"])
def test_what_nobody_waits_for_any_more_is_refused_for_good(desk: Desk, operation: str) -> None:
    late = replace(desk.intent(5), operation=operation)
    assert "waits no more" in desk.actuator.submit(late, lambda: False)["detail"]
    assert desk.actuator.submit(late)["state"] == "refused"
    assert desk.pool.effects == []


def test_asking_for_an_unseen_intent_settles_that_it_never_runs(desk: Desk) -> None:
    intent = desk.intent(5)
    assert desk.actuator.outcome("key-5")["state"] == "refused"
    assert desk.actuator.submit(intent)["state"] == "refused"
    assert desk.pool.effects == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"plan_hash": "x"}, "not the one that was hashed"),
        ({"operation": "delete"}, "unknown operation"),
        ({"plan": {"rule": "x"}}, "not a plan"),
    ],
)
def test_a_forged_intent_is_refused(desk: Desk, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ActionError, match=says):
        desk.actuator.submit(replace(desk.intent(5), **change))


@pytest.mark.parametrize(
    "names", [(), (Target(kind="haproxy", name="else"),), (Target(kind="webhook", name="web"),), ("web", "web")]
)
def test_a_plan_for_anything_but_one_known_target_is_refused(desk: Desk, names: tuple[Any, ...]) -> None:
    found = tuple(Target(kind="haproxy", name=name) if isinstance(name, str) else name for name in names)
    with pytest.raises(ActionError, match=r"exactly one target|not configured"):
        desk.actuator.submit(desk.intent(5, targets=found))


@pytest.mark.parametrize(("fail", "state"), [("before", "failed"), ("half", "unknown")])
def test_a_failure_says_whether_it_is_known(desk: Desk, fail: str, state: str) -> None:
    desk.pool.fail = fail
    assert desk.actuator.submit(desk.intent(5))["state"] == state


def test_two_effects_on_one_target_never_overlap(folder: Path) -> None:
    inside: list[int] = []
    most = [0]

    class Slow(Tally):
        def apply(self, desired: Any, intent: Intent, settings: Any) -> dict[str, object]:
            inside.append(1)
            most[0] = max(most[0], len(inside))
            time.sleep(0.05)
            inside.pop()
            return {}

    named = {"web": targets(folder)[0]}
    actuator = Actuator(Journal(folder / "journal"), named, folder / "no", kinds=lambda _: Slow())
    plan = replace(PLAN, targets=(Target(kind="haproxy", name="web", epoch="same.0"),))
    works = [
        threading.Thread(target=actuator.submit, args=(numbered(intent_of(plan), number),)) for number in range(1, 5)
    ]
    for work in works:
        work.start()
    running = {actuator.outcome(f"key-{number}")["state"] for number in range(1, 5)}
    for work in works:
        work.join()
    assert most[0] == 1
    assert "running" in running or running <= {"done", "refused"}


def test_begun_and_not_ended_is_unknown_after_a_restart(folder: Path) -> None:
    journal = Journal(folder / "journal")
    journal.begin("key-5", 5, "web", "execute")
    again = Journal(folder / "journal")
    known = again.outcome("key-5")
    assert known is not None
    assert known["state"] == "unknown"
    assert again.highest == {"web": 5}


def filled(folder: Path) -> Path:
    journal = Journal(folder / "journal")
    for token in (1, 2, 3):
        journal.begin(f"key-{token}", token, "web", "execute")
        journal.end(f"key-{token}", token, {"state": "done", "token": token})
    journal.close()
    return folder / "journal"


def test_a_torn_tail_of_any_length_is_cut_and_what_was_before_is_kept(folder: Path) -> None:
    path = filled(folder)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        journal = Journal(path)
        known = journal.outcome("key-3")
        assert known is not None
        assert known["state"] == "unknown"
        assert journal.outcome("key-2") == {"state": "done", "token": 2}
        assert path.stat().st_size == last
        journal.close()


def test_damage_in_the_middle_stops_the_actuator(folder: Path) -> None:
    path = filled(folder)
    whole = path.read_bytes()
    second = whole.find(b"\n") + 1
    for place in range(second, second + 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ActionError, match="damaged at byte"):
            Journal(path)


def test_a_long_journal_is_rewritten_and_forgets_no_token(folder: Path) -> None:
    path = filled(folder)
    Journal(path).begin("key-9", 9, "web", "execute")
    before = path.stat().st_size
    journal = Journal(path, compact_bytes=1)
    assert path.stat().st_size < before
    journal.end("key-9", 9, {"state": "done"})
    again = Journal(path)
    assert again.highest["web"] == 9
    assert again.outcome("key-1") == {"state": "done", "token": 1}
    assert again.outcome("key-9") == {"state": "done"}


def test_a_journal_that_cannot_be_written_means_no_effect(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    intent = desk.intent(5)
    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", full)
        with pytest.raises(ActionError, match="cannot be written"):
            desk.actuator.submit(intent)
    with pytest.raises(ActionError, match="restart the actuator"):
        desk.actuator.submit(desk.intent(6))
    assert desk.pool.effects == []


async def talking(folder: Path, kind: Tally | None = None) -> tuple[SocketClient, asyncio.Event, asyncio.Task[None]]:
    stop, used = asyncio.Event(), kind or Tally()
    served = asyncio.create_task(
        serve(folder / "a.sock", folder / "journal", targets(folder), folder / "kill", stop=stop, kinds=lambda _: used)
    )
    client = SocketClient(folder / "a.sock", timeout=2.0)
    async with asyncio.timeout(5):
        while not (folder / "a.sock").exists():
            await asyncio.sleep(0.01)
    return client, stop, served


async def test_the_socket_is_for_its_owner_alone_and_gone_afterwards(folder: Path) -> None:
    client, stop, served = await talking(folder)
    assert stat.S_IMODE((folder / "a.sock").stat().st_mode) == 0o600
    reading = await client.read(Target(kind="haproxy", name="web"))
    assert reading.epoch == "same"
    with pytest.raises(ActionError, match="not configured"):
        await client.read(Target(kind="haproxy", name="else"))
    assert (await client.outcome("nobody") or {})["state"] == "refused"
    stop.set()
    await served
    assert not (folder / "a.sock").exists()
    with pytest.raises(ActionError, match="cannot be reached") as caught:
        await client.ping()
    assert not caught.value.unknown


@dataclass
class Held(Tally):
    """Begins an effect, and does it when it may."""

    began: threading.Event = field(default_factory=threading.Event)
    may: threading.Event = field(default_factory=threading.Event)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        self.began.set()
        assert self.may.wait(10)
        return super().apply(desired, intent, settings)


async def test_told_to_stop_in_the_middle_of_an_effect_it_ends_it_writes_it_down_and_answers(folder: Path) -> None:
    held, complaints = Held(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    client, stop, served = await talking(folder, held)
    _idle, writer = await asyncio.open_unix_connection(str(folder / "a.sock"))  # asks nothing, and holds up nobody
    intent = numbered(intent_of(PROCESS_PLAN), 1)
    asking = asyncio.create_task(client.submit(intent))
    assert await asyncio.to_thread(held.began.wait, 10)
    stop.set()
    ended, _ = await asyncio.wait({served}, timeout=0.3)
    assert not ended
    held.may.set()
    assert (await asking)["state"] == "done"
    await served
    writer.close()
    journal = Journal(folder / "journal")
    assert (journal.outcome(intent.idempotency_key) or {})["state"] == "done"
    journal.close()
    assert complaints == []


@pytest.mark.parametrize(
    "message", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x03{no", b"\x00\x00\x00\x09{", b"\x00\x00"]
)
async def test_garbage_closes_the_connection_and_harms_nobody(folder: Path, message: bytes) -> None:
    client, stop, served = await talking(folder)
    reader, writer = await asyncio.open_unix_connection(str(folder / "a.sock"))
    writer.write(message)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await client.ping()
    stop.set()
    await served


def test_every_error_is_an_answer(desk: Desk) -> None:
    assert answer_to(desk.actuator, {"op": "fly"}) == {
        "ok": False,
        "error": "unknown operation 'fly'",
        "unknown": False,
    }
    assert "not an intent" in str(answer_to(desk.actuator, {"op": "submit", "intent": {}})["error"])
    crashed = answer_to(desk.actuator, {"op": "submit"})
    assert (crashed["ok"], crashed["unknown"]) == (False, True)
    with pytest.raises(ActionError, match="over the limit"):
        pack({"text": "x" * MAX_BYTES})


def test_a_plan_that_went_through_json_has_the_same_digest() -> None:
    sent = json.loads(json.dumps(asdict(PLAN), default=str))
    assert plan_from(sent).digest() == PLAN.digest()


PROCESS_PLAN = replace(PLAN, targets=(Target(kind="haproxy", name="web", epoch="same.0"),))


def kills(folder: Path, seed: int, rounds: int) -> None:
    """Submit, kill at a random moment, restart, ask: nothing is doubled, nothing done is lost."""
    chance = random.Random(seed)
    child = Child(folder, pause=0.01)
    answered: dict[str, str] = {}
    token = 0
    try:
        for _ in range(rounds):
            timer = threading.Timer(chance.uniform(0.0, 0.15), child.process.kill)
            timer.start()
            while True:
                token += 1
                try:
                    outcome = asyncio.run(child.client.submit(numbered(intent_of(PROCESS_PLAN), token)))
                except ActionError:
                    break
                answered[f"key-{token}"] = str(outcome["state"])
            timer.join()
            child.kill()
            child.start()
            for key in [f"key-{token}", *chance.sample(sorted(answered), min(3, len(answered)))]:
                known = asyncio.run(child.client.outcome(key)) or {}
                assert answered.setdefault(key, str(known["state"])) == known["state"]
    finally:
        child.kill()
    done = Counter(child.effects())
    assert max(done.values(), default=0) <= 1
    assert {key for key, state in answered.items() if state == "done"} <= set(done)
    assert set(done) <= {key for key, state in answered.items() if state in ("done", "unknown")}


def test_an_intent_that_the_actuator_overslept_is_never_carried_out(folder: Path) -> None:
    child = Child(folder)
    try:
        slept = numbered(intent_of(PROCESS_PLAN), 1)
        child.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ActionError) as caught:
            asyncio.run(SocketClient(folder / "a.sock", timeout=0.1).submit(slept))
        assert caught.value.unknown
        child.process.send_signal(signal.SIGCONT)
        state: object = "running"
        while state == "running":
            state = (asyncio.run(child.client.outcome(slept.idempotency_key)) or {}).get("state")
        assert (state, child.effects()) == ("refused", [])
    finally:
        child.kill()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_a_random_moment_nothing_is_doubled_and_no_outcome_is_lost(folder: Path, seed: int) -> None:
    kills(folder, seed, rounds=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
def test_killed_many_times_nothing_is_doubled(folder: Path, seed: int) -> None:
    kills(folder, seed, rounds=10)


def test_no_effect_begins_a_second_after_the_kill_switch_file_appears(folder: Path) -> None:
    child = Child(folder)
    try:
        for token in range(1, 60):
            if token == 20:
                (folder / "kill-switch").write_text("stop")
                switched = time.monotonic()
            outcome = asyncio.run(child.client.submit(numbered(intent_of(PROCESS_PLAN), token)))
            assert outcome["state"] == ("done" if token < 20 else "refused")
        assert len(child.effects()) == 19
        assert time.monotonic() - switched < 20
    finally:
        child.kill()
