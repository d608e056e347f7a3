"""Scenarios of a dual link, each on an estate of its own, each with what was measured."""

from __future__ import annotations

import math
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from support.failover import UNTOUCHED, Double, Estate, estate, named, switched

from remediation.plan import plan_from
from watchkeeper.reasons import gate_name

RULE, WAY_BACK = "checkout_failover", "checkout_failover:return"
PRIMARY_DOWN, BOTH_DOWN = "the primary of checkout is down", "both copies of checkout are down"
#: How each robot says that something is over.
OVER = {"wecom": "Resolved", "dingtalk": "已恢复"}
#: Seconds in which a refused or impossible switch would have happened many times over.
LONG_ENOUGH = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One kill of the primary, there and back."""

    switch_seconds: float
    failed: int  #: requests of the user that failed between the kill and the switch
    failed_later: int  #: after the switch: none may
    effects: int  #: intents ever committed to leave the primary
    returns: int  #: and to go back
    incidents: int
    firing: dict[str, int]  #: robot -> messages that the primary is down
    resolved: dict[str, int]
    back_seconds: float  #: from the first good probe that was possible to traffic on the primary again
    dwelt_seconds: float  #: from traffic on the backup to traffic on the primary
    audit_intact: bool
    plan: dict[str, Any]  #: of the switch
    path: list[str]  #: seconds after the kill at which which state was reached, and why where it led nowhere
    load: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A scenario in which nothing may be switched."""

    effects: int
    backup_answers: int
    seconds: float  #: watched for so long
    failed: int = 0
    said: dict[str, int] = field(default_factory=dict)  #: robot -> messages that say what is the matter
    said_after: float = math.nan  #: seconds until all robots had it
    detail: str = ""
    plan: dict[str, Any] = field(default_factory=dict)


@contextmanager
def settled(**options: Any) -> Iterator[Estate]:
    with tempfile.TemporaryDirectory(prefix="wk-failover-") as text, estate(Path(text), **options) as found:
        yield found


def kill(phase: float = 0.0) -> Cycle:
    """Kill -9 the primary ``phase`` seconds after the estate is settled; later it comes back."""
    with settled() as found:
        _wait(phase)
        return there_and_back(found)


def there_and_back(found: Estate) -> Cycle:
    """Of an estate that has not seen a fault yet."""
    killed = found.kill("primary")
    found.until("traffic on the backup", lambda: switched(found.user.requests(killed), killed), 60)
    found.until("the switch is verified", lambda: found.touched(RULE) == ["succeeded"], 60)
    incidents = len(found.up.ask("GET", "/api/wk/incidents?state=all")["incidents"])
    found.revive("primary")
    revived = time.monotonic()
    found.until("traffic on the primary", lambda: found.user.last() == "primary", 120)
    found.until("the way back is verified", lambda: found.touched(WAY_BACK) == ["succeeded"], 60)
    found.until("the end is told", lambda: all(_told(found.double, PRIMARY_DOWN, over=True).values()), 90)
    return _cycle(found, killed, revived, incidents)


def _cycle(found: Estate, killed: float, revived: float, incidents: int) -> Cycle:
    requests = found.user.requests(killed - 1.0)
    seconds = switched(requests, killed)
    assert seconds is not None
    over = killed + seconds
    back = next(one.answered for one in requests if one.sent > over and one.who == "primary")
    return Cycle(
        switch_seconds=seconds,
        failed=sum(one.failed for one in requests if one.sent <= over),
        failed_later=sum(one.failed for one in requests if one.sent > over),
        effects=len(found.touched(RULE)),
        returns=len(found.touched(WAY_BACK)),
        incidents=incidents,
        firing=_told(found.double, PRIMARY_DOWN, over=False),
        resolved=_told(found.double, PRIMARY_DOWN, over=True),
        back_seconds=back - revived,
        dwelt_seconds=back - over,
        audit_intact=bool(found.up.ask("GET", "/api/wk/audit")["intact"]),
        plan=next(
            row["plan"] for row in found.actions() if row["plan"]["rule"] == RULE and row["state"] == "succeeded"
        ),
        path=list(_path(found, time.time() - (time.monotonic() - killed))),
    )


def _path(found: Estate, killed: float) -> Iterator[str]:
    for row in reversed([row for row in found.actions() if row["plan"]["rule"] == RULE]):
        for step in found.up.ask("GET", f"/api/wk/actions/{row['id']}")["timeline"]:
            after = datetime.fromisoformat(step["at"]).timestamp() - killed
            why = "" if row["state"] == "succeeded" else f": {step['reason']}"
            yield f"{after:.1f} {row['id']} {step['new_state']}{why}"


class Watch:
    """What happens in an estate from now on."""

    def __init__(self, found: Estate) -> None:
        self.found, self.began = found, time.monotonic()
        self.known = {str(row["id"]) for row in found.actions()}

    def actions(self, state: str) -> list[dict[str, Any]]:
        return [row for row in self.found.since(self.known) if row["state"] == state]

    def quiet(self, **more: Any) -> Quiet:
        requests = self.found.user.requests(self.began)
        return Quiet(
            effects=sum(row["state"] not in UNTOUCHED for row in self.found.since(self.known)),
            backup_answers=sum(one.who == "backup" for one in requests),
            seconds=time.monotonic() - self.began,
            failed=sum(one.failed for one in requests),
            **more,
        )


def both(watched: float = LONG_ENOUGH) -> Quiet:
    """An estate in which both copies die at once."""
    with settled() as found:
        return both_die(found, watched)


def both_die(found: Estate, watched: float) -> Quiet:
    """There is nowhere to go, so nothing is switched, and a P0 goes out."""
    watch = Watch(found)
    killed = found.kill("primary", "backup")
    found.until("a P0", lambda: all(_told(found.double, BOTH_DOWN, over=False).values()), 60)
    after = time.monotonic() - killed
    _wait(watched)
    gates = {str(row["progress"].get("gate")) for row in watch.actions("suppressed")}
    worst = [row["severity"] for row in found.up.ask("GET", "/api/wk/incidents")["incidents"]]
    said = _told(found.double, BOTH_DOWN, over=False)
    assert all("P0" in text for robot in said for text in found.double.texts(robot) if BOTH_DOWN in text)
    return watch.quiet(said=said, said_after=after, detail=f"gates {sorted(gates)}, incident {worst}")


def freeze(seconds: float = 20.0, watched: float = 32.0) -> Quiet:
    """An estate whose watcher stands still."""
    with settled() as found:
        return stand_still(found, seconds, watched)


def stand_still(found: Estate, seconds: float, watched: float) -> Quiet:
    """Engine and actuator stand still for a while and wake to stale evidence, while all is healthy."""
    watch, before = Watch(found), found.pauses()
    found.freeze()
    _wait(seconds)
    found.wake()
    _wait(watched)
    return watch.quiet(detail=f"pauses that it noticed: {found.pauses() - before}")


def cut(seconds: float = 25.0, watched: float = 15.0) -> Quiet:
    """An estate whose watcher is cut off."""
    with settled() as found:
        return cut_off(found, seconds, watched)


def cut_off(found: Estate, seconds: float, watched: float) -> Quiet:
    """The watcher loses every target, HAProxy and the canaries at once; the users notice nothing."""
    watch, before = Watch(found), _refused(found.double)

    def said() -> dict[str, int]:
        return {robot: count - before[robot] for robot, count in _refused(found.double).items()}

    found.wires.cut()
    found.until("it says so", lambda: all(said().values()), 60)
    after = time.monotonic() - watch.began
    _wait(max(seconds - after, 0.0))
    row = watch.actions("suppressed")[0]
    reason = found.up.ask("GET", f"/api/wk/actions/{row['id']}")["timeline"][-1]["reason"]
    found.wires.mend()
    _wait(watched)  # what comes back must not be acted on either
    return watch.quiet(said=said(), said_after=after, detail=str(reason))


def dry_run(watched: float = 8.0) -> Quiet:
    """The primary dies, the rule is a dry-run: the plan is made, nothing is touched."""
    with settled(mode="dry_run") as found:
        watch = Watch(found)
        killed = found.kill("primary")
        row = found.until("a plan", lambda: watch.actions("dry_run"), 60)[0]
        after = time.monotonic() - killed
        _wait(watched)
        assert found.servers() == {"primary": "ready", "backup": "maint"}
        return watch.quiet(said_after=after, plan=row["plan"])


def plan_bytes(plan: Mapping[str, Any]) -> bytes:
    """The plan as it is hashed, without the version of the rule: that differs by the one word that makes a dry-run."""
    return replace(plan_from(plan), rule_version="").canonical()


def _told(double: Double, summary: str, *, over: bool) -> dict[str, int]:
    """Robot -> messages about this alert that say it began, or that it is over.

    It begins in a message of its own; the end may come in a digest, and a later alert may name it among others.
    """
    found = {}
    for robot, word in OVER.items():
        texts = [text if over else text.strip().splitlines()[0] for text in double.texts(robot)]
        found[robot] = sum(summary in text and (word in text.split(summary)[0]) is over for text in texts)
    return found


def _refused(double: Double) -> dict[str, int]:
    """Robot -> messages that gate 4 refused, in whichever language the robot is told."""
    gates = [gate_name("isolation", language) for language in ("en", "zh-CN")]
    return {robot: sum(double.count(robot, RULE, gate) for gate in gates) for robot in OVER}


def _wait(seconds: float) -> None:
    """Real processes go on meanwhile: this is the scenario's own duration, not a wait for something to be ready."""
    time.sleep(seconds)


def harm(found: Estate, ways: int, seed: int, deadline: float) -> tuple[Counter[str], int, int]:
    """Kill, end or freeze our own processes at random; (what was done, requests of users, those that failed)."""
    chance, done = random.Random(seed), Counter[str]()
    began = time.monotonic()
    while sum(done.values()) < ways and time.monotonic() < deadline:
        done[_one_way(found, chance)] += 1
    _answering(found)  # back-off after the last kill
    _wait(2.0)
    requests = found.user.requests(began)
    return done, len(requests), sum(one.failed for one in requests)


def _one_way(found: Estate, chance: random.Random) -> str:
    """One process or several; one time in twelve the parent, with whom everything goes, and is started again."""
    if chance.random() < 1 / 12:
        found.up.kill_and_start_again()
        _wait(chance.uniform(0.2, 3.0))
        return "SIGKILL of parent"
    names = chance.sample(["engine", "actuator", "dashboard"], chance.randint(1, 3))
    sign = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
    hit = [pid for pid in found.up.pids() if named(pid) in names]
    for pid in hit:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)
    _wait(chance.uniform(0.2, 3.0))
    if sign is signal.SIGSTOP:
        for pid in hit:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return f"{sign.name} of {' and '.join(sorted(names))}"


def _answering(found: Estate) -> None:
    found.up.wait("engine after all that", f"{found.up.engine}/-/ready")
