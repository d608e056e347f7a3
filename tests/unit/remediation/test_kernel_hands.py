"""The kernel's hands where only their mutants had looked: the switch, people's words, the actuator and its journal."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.remediator import World
from support.remedies import HOUR, MINUTE, NOON, PLAN, RULE, intent_of

from remediation import book, killswitch
from remediation.actuator import Journal
from remediation.killswitch import KillSwitch
from watchkeeper.errors import AccessError, ActionError, StoreError
from watchkeeper.model import ActionRecord, ActionState, Mode, RiskClass


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, links=[LINK_OF_WEB])
    yield made
    made.state.close()


LINK_OF_WEB: dict[str, Any] = {
    "name": "maps", "service": "shop", "target": "web", "primary": "web1", "backup": "web2", "primary_probe": "a",
    "backup_probe": "b",
}  # fmt: skip


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what the disk was made to keep."""
    found, fsync = list[str](), os.fsync

    def keep(file: int) -> None:
        found.append(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    monkeypatch.setattr(os, "fsync", keep)
    return found


# --- the switch ---


def test_a_switch_that_nobody_set_writes_nothing(world: World) -> None:
    assert world.remediator.kill_switch.latch(NOON) == ""
    with world.state.read() as unit:
        assert unit.documents.get("remediation/kill_switch") is None
        assert unit.audit.rows() == []


def test_a_switch_makes_its_folder_is_on_disk_for_its_owner_alone_and_keeps_no_file_open(
    world: World, synced: list[str]
) -> None:
    file = world.folder / "made" / "later" / "kill-switch"
    switch = KillSwitch(file, world.state)
    switch.set("eve", "smoke", NOON)
    held = open_files()
    for _ in range(3):
        switch.set("eve", "fire", NOON)
    assert open_files() == held
    assert switch.reason() == "eve: fire"
    assert synced.count("kill-switch") == 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_half_that_could_not_be_read_for_a_moment_sets_nothing_for_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, read = world.remediator.kill_switch, world.state.read

    def once() -> Any:
        monkeypatch.setattr(world.state, "read", read)
        raise StoreError("state database: the server closed the connection")

    monkeypatch.setattr(world.state, "read", once)
    assert "cannot be read" in switch.latch(NOON)
    assert switch.latch(NOON) == ""
    switch._path = world.folder / "unmounted" / "kill-switch"
    assert "cannot be read" in switch.latch(NOON)
    switch._path = world.folder / "kill-switch"
    assert switch.latch(NOON) == ""
    with world.state.read() as unit:
        assert unit.audit.rows() == []


def test_a_file_that_is_there_and_cannot_be_read_stays_set_when_it_is_gone(world: World) -> None:
    switch = world.remediator.kill_switch
    (world.folder / "kill-switch").mkdir()  # to be read as a file it is not
    assert "cannot be read" in switch.latch(NOON)
    (world.folder / "kill-switch").rmdir()
    assert "cannot be read" in switch.latch(NOON)


def two_engines(world: World) -> tuple[KillSwitch, KillSwitch, Path, Path]:
    """Their switches and files; one database."""
    here, there = (world.folder / name / "kill-switch" for name in ("here", "there"))
    there.parent.mkdir()
    return KillSwitch(here, world.state), KillSwitch(there, world.state), here, there


def test_what_an_admin_cleared_elsewhere_is_cleared_here_and_a_file_put_there_later_is_not(world: World) -> None:
    one, other, _here, there = two_engines(world)
    now = datetime.now(UTC)
    one.set("eve", "smoke", now)
    assert other.latch(now) == "eve: smoke"  # it led meanwhile, and has its own copy
    one.clear("ada", "checked", now + MINUTE, admin=True)
    assert (other.latch(now), there.exists()) == ("", False)
    for text, moment in (("eve: smoke", now + HOUR), ("by hand", now - HOUR)):
        there.write_text(text)
        os.utime(there, (moment.timestamp(), moment.timestamp()))
        assert other.latch(now) == text
        other.clear("ada", "checked", now + MINUTE, admin=True)
    assert not there.exists()


def test_a_copy_as_old_as_the_clearing_is_cleared_with_it(world: World) -> None:
    switch, file = world.remediator.kill_switch, world.folder / "kill-switch"
    switch.set("eve", "smoke", NOON)
    switch.clear("ada", "checked", NOON, admin=True)
    file.write_text("eve: smoke")
    os.utime(file, (NOON.timestamp(), NOON.timestamp()))
    assert switch.reason() == ""


def test_what_was_cleared_is_known_elsewhere_though_the_file_here_had_gone(world: World) -> None:
    one, other, here, _there = two_engines(world)
    now = datetime.now(UTC)
    one.set("eve", "smoke", now)
    assert other.reason() == "eve: smoke"
    here.unlink()
    one.clear("ada", "checked", now + MINUTE, admin=True)
    assert other.reason() == ""


@pytest.mark.parametrize(
    ("gone_after", "reason"), [("file_says", "eve: smoke"), ("_was_cleared", "")], ids=["before_its_age", "after_it"]
)
def test_a_file_that_goes_while_it_is_looked_at_is_no_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, gone_after: str, reason: str
) -> None:
    switch, file = world.remediator.kill_switch, world.folder / "kill-switch"
    now = datetime.now(UTC)
    switch.set("eve", "smoke", now)
    switch.clear("ada", "checked", now + MINUTE, admin=True)
    file.write_text("eve: smoke")
    place: Any = killswitch if gone_after == "file_says" else switch
    asked = getattr(place, gone_after)

    def and_then_it_goes(*arguments: Any) -> Any:
        answer = asked(*arguments)
        file.unlink()
        return answer

    monkeypatch.setattr(place, gone_after, and_then_it_goes)
    assert switch.reason() == reason


def test_a_file_that_goes_before_it_is_written_down_is_kept_with_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.folder / "kill-switch").write_text("by hand")
    answers = iter(["by hand", ""])
    monkeypatch.setattr(killswitch, "file_says", lambda _path: next(answers))
    assert world.remediator.kill_switch.latch(NOON) == "by hand"
    with world.state.read() as unit:
        assert unit.documents.get(killswitch.KEY)["reason"] == "by hand"


def test_to_clear_what_nobody_set_is_no_mistake(world: World) -> None:
    world.remediator.kill_switch.clear("ada", "checked", NOON, admin=True)
    assert world.remediator.kill_switch.reason() == ""


# --- people ---


def waiting(world: World, risk: RiskClass = RiskClass.A1) -> ActionRecord:
    record = ActionRecord(
        id="act-7", state=ActionState.AWAITING_APPROVAL, plan=replace(PLAN, risk=risk), created_at=NOON,
        updated_at=NOON, requester="rule", correlation_id="c",
    )  # fmt: skip
    with world.state.begin() as unit:
        unit.actions.save(record, reason="waits", at=NOON)
    return record


@pytest.mark.parametrize("given", [{"reauthenticated": True}, {"admin": True}])
def test_who_is_not_said_to_be_an_admin_and_to_have_signed_in_again_is_neither(
    world: World, given: dict[str, bool]
) -> None:
    plan = waiting(world, RiskClass.A3).plan
    with pytest.raises(AccessError, match="signed in again"):
        world.remediator.people.approve("act-7", "eve", "approve", "", plan.digest(), NOON, **given)


def test_a_word_is_kept_at_steady_time_and_in_the_audit(world: World) -> None:
    plan, people = waiting(world).plan, world.remediator.people
    assert people.skew.total_seconds() == 0
    people.skew = HOUR
    people.approve("act-7", "eve", "approve", "saw it", plan.digest(), NOON + HOUR)
    with world.state.read() as unit:
        assert [(one.user, one.at) for one in unit.actions.approvals("act-7")] == [("eve", NOON)]
        (row,) = [row for row in unit.audit.rows(subject="act-7") if row.action == "action.approve"]
    assert (row.actor, row.detail["reason"]) == ("eve", "saw it")


def test_a_judgement_counts_once_and_from_steady_time(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, mode=Mode.DRY_RUN))
    world.step(3)
    with world.state.begin() as unit:
        unit.documents.remove(book.JUDGED_KEY + RULE.name)
    world.remediator.people.skew = HOUR
    world.remediator.people.judge(world.record().id, "ada", "right", NOON + 3 * HOUR)
    with world.state.read() as unit:
        kept = unit.documents.get(book.JUDGED_KEY + RULE.name)
    assert (kept["since"], kept["right"]) == ((NOON + 2 * HOUR).isoformat(), 1)
    world.state.close()


def test_an_owners_word_counts_from_steady_time_for_its_lifetime(world: World) -> None:
    people, lifetime = world.remediator.people, world.settings.declaration_lifetime
    people.skew = HOUR
    assert people.declare(RULE.name, "ada", "small estate", NOON + HOUR) == NOON + lifetime
    with world.state.read() as unit:
        row = unit.actions.declaration(RULE.name)
        assert [one.actor for one in unit.audit.rows(subject=RULE.name)] == ["ada"]
    assert row is not None
    assert (row.owner, row.declared_at, row.expires_at) == ("ada", NOON, NOON + lifetime)


def test_a_link_is_pinned_by_a_name_that_exists_and_both_words_are_in_the_audit(world: World) -> None:
    people = world.remediator.people
    with pytest.raises(ActionError, match="no link"):
        people.pin("nowhere", "backup", "ada", "works", NOON)
    for act, expected in (("pin", {"side": "backup", "user": "ada", "reason": "works"}), ("unpin", {})):
        given = ("backup", "ada", "works") if act == "pin" else ("ada", "over")
        getattr(people, act)("maps", *given, NOON)
        with world.state.read() as unit:
            pin = unit.documents.get(book.PIN_KEY + "maps")
        assert pin == expected
    with world.state.read() as unit:
        assert [row.action for row in unit.audit.rows(subject="maps")] == ["link.pinned", "link.unpinned"]


# --- the actuator ---


def test_to_execute_is_what_is_desired_and_to_roll_back_is_what_was(world: World) -> None:
    core, pool = world.actuator.core, world.pool
    epoch = pool.read(PLAN.targets[0], {}).epoch
    plan = replace(PLAN, targets=(replace(PLAN.targets[0], epoch=f"{epoch}.0"),))
    assert core.submit(intent_of(plan, token=7))["state"] == "done"
    assert pool.servers["web1"]["state"] == "drain"
    assert core.submit(intent_of(plan, token=8, operation="rollback"))["state"] == "done"
    assert pool.servers["web1"]["state"] == "ready"


def test_nothing_is_answered_for_a_target_that_is_configured_no_more(world: World) -> None:
    core = world.actuator.core
    epoch = world.pool.read(PLAN.targets[0], {}).epoch
    intent = intent_of(replace(PLAN, targets=(replace(PLAN.targets[0], epoch=f"{epoch}.0"),)), token=7)
    assert core.submit(intent)["state"] == "done"
    core._targets = {}
    with pytest.raises(ActionError, match="not configured"):
        core.submit(intent)


def test_a_number_that_was_let_through_is_not_let_through_again_under_another_key(world: World) -> None:
    core = world.actuator.core
    epoch = world.pool.read(PLAN.targets[0], {}).epoch
    plan = replace(PLAN, targets=(replace(PLAN.targets[0], epoch=f"{epoch}.0"),))
    assert core.submit(intent_of(plan, token=7))["state"] == "done"
    again = core.submit(intent_of(plan, token=7, operation="rollback"))
    assert (again["state"], again["detail"]) == ("refused", "token 7 is not above 7")


# --- its journal ---


def facts(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line.partition(b" ")[2]) for line in file.read_bytes().splitlines()]


def test_a_journal_makes_its_folder_and_its_name_is_on_disk(tmp_path: Path, synced: list[str]) -> None:
    held = open_files()
    Journal(tmp_path / "made" / "later" / "journal").close()
    assert (tmp_path / "made" / "later" / "journal").exists()
    assert synced == ["later"]
    assert open_files() == held


def test_a_line_of_which_half_was_written_is_not_believed_and_stops_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, write = Journal(tmp_path / "journal"), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
        with pytest.raises(ActionError, match="no space left"):
            journal.begin("key", 7, "web", "execute")
    assert (journal.highest, journal.begun) == ({}, {})
    with pytest.raises(ActionError, match="restart the actuator"):
        journal.begin("key", 8, "web", "execute")
    journal.close()


def test_a_torn_end_is_cut_on_disk_and_what_is_whole_is_not(tmp_path: Path, synced: list[str]) -> None:
    file = tmp_path / "journal"
    first = Journal(file)
    for number in (1, 2, 3):
        first.begin(f"key-{number}", number, "web", "execute")
    first.close()
    whole = file.read_bytes()
    again = Journal(file)
    assert (again.torn_bytes, "journal" in synced) == (0, False)
    again.close()
    file.write_bytes(whole + b"half of a li")
    again = Journal(file)
    assert (again.torn_bytes, "journal" in synced, file.read_bytes()) == (12, True, whole)
    again.close()


@pytest.mark.parametrize(("damaged", "stops"), [(-1, False), (-2, True), (0, True)])
def test_only_the_last_line_may_be_damaged(tmp_path: Path, damaged: int, *, stops: bool) -> None:
    file = tmp_path / "journal"
    first = Journal(file)
    for number in (1, 2, 3):
        first.begin(f"key-{number}", number, "web", "execute")
    first.close()
    lines = file.read_bytes().splitlines(keepends=True)
    lines[damaged] = lines[damaged].replace(b"key", b"kex")
    file.write_bytes(b"".join(lines))
    if stops:
        with pytest.raises(ActionError, match="damaged at byte"):
            Journal(file)
    else:
        again = Journal(file)
        assert again.highest == {"web": 2}
        again.close()


@pytest.mark.parametrize(("mebibytes", "compacted"), [(8.5, True), (7.5, False)])
def test_a_journal_is_written_anew_at_eight_mebibytes(tmp_path: Path, mebibytes: float, *, compacted: bool) -> None:
    file = tmp_path / "journal"
    first = Journal(file)
    first.end("key", 1, {"detail": "x" * int(mebibytes * (1 << 20))})
    first.close()
    before, held = file.stat().st_ino, open_files()
    Journal(file).close()
    assert (file.stat().st_ino != before) is compacted
    assert open_files() == held


def test_a_journal_is_written_anew_when_it_is_longer_than_that_and_not_before(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    first = Journal(file)
    first.begin("key", 1, "web", "execute")
    first.close()
    size, before = file.stat().st_size, file.stat().st_ino
    Journal(file, compact_bytes=size).close()
    assert file.stat().st_ino == before
    Journal(file, compact_bytes=size - 1).close()
    assert file.stat().st_ino != before


def test_a_line_reads_the_same_whoever_wrote_it_and_keeps_the_number_it_was_given(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin("key", 0, "web", "execute")
    assert journal.highest == {"web": 0}
    (fact,) = facts(tmp_path / "journal")
    assert list(fact) == sorted(fact)
    journal.close()


def test_ten_thousand_outcomes_are_kept_when_it_is_written_anew_each_with_its_number(
    tmp_path: Path, synced: list[str]
) -> None:
    file = tmp_path / "journal"
    journal = Journal(file)
    journal.outcomes = {f"key-{number}": {"token": number} for number in range(10_000)} | {"none": {}}
    journal._compact()
    journal.close()
    assert "journal.new" in synced  # before it takes the place of the old one
    assert (len(journal.outcomes), "key-0" in journal.outcomes) == (10_000, False)
    assert [(each["key"], each["token"]) for each in facts(file)[-2:]] == [("key-9999", 9999), ("none", 0)]


def test_what_is_revoked_has_no_number(world: World) -> None:
    world.actuator.core.outcome("never")
    assert facts(world.folder / "journal")[-1]["token"] == 0
