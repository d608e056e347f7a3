"""Who gets in, who stays out, and how it is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters
from support.states import NOON

from watchkeeper.access import (
    PERMISSIONS,
    ForbiddenError,
    LockedOutError,
    Permission,
    Principal,
    Role,
    WeakPasswordError,
    authenticate,
    require,
    require_csrf,
    require_recent_password,
)
from watchkeeper.access.lockout import LONGEST_WAIT, wait_after
from watchkeeper.access.passwords import HASHER, check_password, hash_password, matches
from watchkeeper.access.sessions import confirm_password, end_expired, log_in, log_out, verify_password
from watchkeeper.access.setup import finish_setup, new_setup_secret, setup_needed
from watchkeeper.access.tokens import LONGEST, create_system_token, create_token, revoke_token, token_owner
from watchkeeper.access.users import (
    create_user,
    new_user,
    set_disabled,
    set_password,
    set_preferences,
    set_role,
)
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State

#: argon2id as cheap as it goes: what is tested here is not its cost.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD = "plum kettle orbit vivid"
HOME = "192.0.2.7"


def add(state: State, name: str, role: Role = Role.OPERATOR) -> None:
    user = new_user(name, role, GOOD, language="en", time_zone="UTC", now=NOON, hasher=QUICK)
    create_user(state, user, actor="test", now=NOON)


def enter(state: State, name: str, now: datetime = NOON, **more: str) -> str:
    return "Session " + log_in(state, name, GOOD, source=HOME, now=now, hasher=QUICK, **more).session


def dump(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


# set-up ---------------------------------------------------------------------------------------------------------------


def set_up(state: State, secret: str, name: str = "ann") -> str:
    return finish_setup(state, secret, name, GOOD, language="zh-CN", time_zone="UTC", now=NOON, hasher=QUICK)


def test_a_fresh_install_has_no_account_at_all(state: State) -> None:
    names = ("admin", "root", "grafana", "watchkeeper", "administrator")
    passwords = ("admin", "password", "123456", "", "root", "watchkeeper", "changeme", "admin123", "grafana", "test")
    for name, password in product(names, passwords):
        with pytest.raises(AccessError):
            log_in(state, name, password, source=f"{name}{password}", now=NOON, hasher=QUICK)
    assert setup_needed(state)


def test_the_setup_secret_works_once(state: State) -> None:
    secret = new_setup_secret(state, NOON)
    assert secret is not None
    assert set_up(state, secret) == "ann"
    with pytest.raises(ForbiddenError, match="was used already"):
        set_up(state, secret, "eve")
    assert not setup_needed(state)
    assert new_setup_secret(state, NOON) is None
    assert authenticate(state, enter(state, "ann"), NOON).role is Role.ADMIN


def test_only_the_newest_setup_secret_works_and_none_is_stored(state: State, tmp_path: Path) -> None:
    old, new = new_setup_secret(state, NOON), new_setup_secret(state, NOON)
    assert old is not None
    assert new is not None
    for wrong in (old, "", new[:-1], new + "x", "\ud800"):
        with pytest.raises(ForbiddenError):
            set_up(state, wrong)
    assert new.encode() not in dump(tmp_path)
    set_up(state, new)


def test_a_weak_password_does_not_use_up_the_secret(state: State) -> None:
    secret = new_setup_secret(state, NOON) or ""
    with pytest.raises(WeakPasswordError):
        finish_setup(state, secret, "ann", "password1234", language="en", time_zone="UTC", now=NOON, hasher=QUICK)
    set_up(state, secret)


# passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "complaint"),
    [
        ("short1!aB", "12 characters"),
        ("x" * 129, "128 characters"),
        ("aaaaaaaaaaaaaaaa", "pattern"),
        ("abc12abc12abc12", "pattern"),
        ("123456789012", "pattern"),
        ("qwertyuiop12", "pattern"),
        ("password12345", "common"),
        ("P@ssw0rd!2026", "common"),
        ("Admin12345678", "common"),
        ("iloveyou!!2024", "common"),
        ("welcome_summer9", "common"),
        ("xXann-marieXx9kq", "user's name"),
        ("902183746519", "common"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(password: str, complaint: str) -> None:
    with pytest.raises(WeakPasswordError, match=complaint):
        check_password(password, "ann-marie")


@pytest.mark.parametrize(
    "password",
    [GOOD, "correct horse battery staple", "密码不要太短啊请用一句话更好记", "Tz4$kq" * 2 + "w9", "v" + "aB3 " * 31],
)
def test_long_and_foreign_passwords_are_welcome(password: str) -> None:
    check_password(password, "ann")


def test_passwords_are_kept_as_argon2id_of_the_recommended_cost() -> None:
    stored = hash_password(GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in stored
    assert matches(stored, GOOD)
    assert not matches(stored, GOOD + "x")
    assert not matches("no hash at all", GOOD)


def test_the_two_ways_to_write_one_character_are_one_password() -> None:
    assert matches(hash_password("cafe\u0301 kettle orbit", QUICK), "caf\u00e9 kettle orbit", QUICK)


class Watched(PasswordHasher):
    """Writes down what every hash it works on costs."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=16, parallelism=1)
        self.worked: list[Parameters] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # its base's name
        self.worked.append(extract_parameters(hash if isinstance(hash, str) else hash.decode()))
        return super().verify(hash, password)


def test_an_unknown_user_costs_the_same_hash_as_a_known_one(state: State) -> None:
    hasher = Watched()
    user = new_user("ann", Role.VIEWER, GOOD, language="en", time_zone="UTC", now=NOON, hasher=hasher)
    create_user(state, user, actor="test", now=NOON)
    for name in ("ann", "nobody"):
        with pytest.raises(AccessError):
            verify_password(state, name, "wrong", source=name, now=NOON, hasher=hasher)
    known, unknown = hasher.worked
    assert known == unknown


def test_an_old_hash_is_renewed_at_the_next_log_in(state: State) -> None:
    add(state, "ann")
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    log_in(state, "ann", GOOD, source=HOME, now=NOON, hasher=stronger)
    with state.read() as unit:
        user = unit.people.user("ann")
    assert user is not None
    assert not stronger.check_needs_rehash(user.password_hash)
    assert HASHER.check_needs_rehash(user.password_hash)


# lock-out -------------------------------------------------------------------------------------------------------------


def test_a_thousand_guesses_are_evaluated_ten_times_at_most(state: State) -> None:
    add(state, "ann")
    live = enter(state, "ann")
    evaluated = 0
    waits: list[float] = []
    for second in range(1000):
        now = NOON + timedelta(seconds=second)
        try:
            log_in(state, "ann", f"guess number {second}", source="203.0.113.9", now=now, hasher=QUICK)
        except LockedOutError as error:
            waits.append(error.retry_after)
        except AccessError:
            evaluated += 1
    assert 5 <= evaluated <= 10
    assert 0 < min(waits) < max(waits) <= 900
    assert authenticate(state, live, NOON + timedelta(seconds=1000)).name == "ann"
    enter(state, "ann", NOON + timedelta(seconds=1000))  # from elsewhere, the owner gets in
    with pytest.raises(LockedOutError):
        log_in(state, "ANN", GOOD, source="203.0.113.9", now=NOON + timedelta(seconds=1000), hasher=QUICK)


def test_the_wait_grows_and_is_never_for_ever(state: State) -> None:
    waits = [wait_after(failures) for failures in range(200)]
    assert waits[4] == timedelta(0)
    assert waits[5:8] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert max(waits) == LONGEST_WAIT
    add(state, "ann")
    for _ in range(5):
        with pytest.raises(AccessError, match="name or password"):
            log_in(state, "ann", "wrong", source=HOME, now=NOON, hasher=QUICK)
    with pytest.raises(LockedOutError):
        enter(state, "ann", NOON + timedelta(seconds=59))
    enter(state, "ann", NOON + timedelta(seconds=60))
    with state.read() as unit:
        assert unit.people.failures("ann", HOME) == (0, None)


def test_failures_of_another_day_do_not_count(state: State) -> None:
    add(state, "ann")
    for _ in range(5):
        with pytest.raises(AccessError):
            log_in(state, "ann", "wrong", source=HOME, now=NOON, hasher=QUICK)
    for _ in range(4):
        with pytest.raises(AccessError, match="name or password"):
            log_in(state, "ann", "wrong", source=HOME, now=NOON + timedelta(hours=25), hasher=QUICK)


# sessions -------------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_idle_and_in_any_case_after_twelve_hours(state: State) -> None:
    add(state, "ann")
    header = enter(state, "ann")
    assert authenticate(state, header, NOON + timedelta(minutes=29)).expires_at == NOON + timedelta(minutes=30)
    with pytest.raises(AccessError, match="is over"):
        authenticate(state, header, NOON + timedelta(minutes=29 + 30))
    header, now = enter(state, "ann"), NOON
    while now < NOON + timedelta(hours=12) - timedelta(minutes=20):
        now += timedelta(minutes=20)
        authenticate(state, header, now)
    with pytest.raises(AccessError, match="is over"):
        authenticate(state, header, NOON + timedelta(hours=12))
    assert end_expired(state, NOON + timedelta(hours=12, seconds=1)) == 2


def test_a_page_that_refreshes_itself_is_no_activity(state: State) -> None:
    add(state, "ann")
    header = enter(state, "ann")
    for minute in range(30):
        authenticate(state, header, NOON + timedelta(minutes=minute), touch=False)
    with pytest.raises(AccessError, match="is over"):
        authenticate(state, header, NOON + timedelta(minutes=30), touch=False)


def test_logging_in_again_rotates_the_session(state: State) -> None:
    add(state, "ann")
    first = enter(state, "ann")
    second = enter(state, "ann", previous=first.removeprefix("Session "))
    assert first != second
    with pytest.raises(AccessError):
        authenticate(state, first, NOON)
    authenticate(state, second, NOON)


DISTRUST: tuple[Callable[[State], None], ...] = (
    lambda state: set_disabled(state, "ann", True, actor="boss", now=NOON),
    lambda state: set_role(state, "ann", "viewer", actor="boss", now=NOON),
    lambda state: set_password(state, "ann", "seven quiet marble lamps", actor="ann", now=NOON, hasher=QUICK),
)


@pytest.mark.parametrize("change", DISTRUST)
def test_less_trust_ends_every_session_at_once(state: State, change: Callable[[State], None]) -> None:
    add(state, "boss", Role.ADMIN)
    add(state, "ann")
    headers = [enter(state, "ann") for _ in range(3)]
    boss = enter(state, "boss")
    change(state)
    for header in headers:
        with pytest.raises(AccessError):
            authenticate(state, header, NOON)
    authenticate(state, boss, NOON)


def test_logging_out_ends_the_session_and_twice_does_no_harm(state: State) -> None:
    add(state, "ann")
    header = enter(state, "ann")
    for _ in range(2):
        log_out(state, header.removeprefix("Session "), NOON)
    with pytest.raises(AccessError):
        authenticate(state, header, NOON)


def test_a_disabled_user_does_not_get_in(state: State) -> None:
    add(state, "boss", Role.ADMIN)
    add(state, "ann")
    set_disabled(state, "ann", True, actor="boss", now=NOON)
    with pytest.raises(AccessError, match="name or password is wrong"):
        enter(state, "ann")


def test_a_dump_of_the_database_holds_nothing_one_could_use(state: State, tmp_path: Path) -> None:
    add(state, "ann")
    session = log_in(state, "ann", GOOD, source=HOME, now=NOON, hasher=QUICK)
    token, _ = create_token(
        state, name="ci", user="ann", role="viewer", lifetime=timedelta(days=1), now=NOON, actor="ann"
    )
    everything = dump(tmp_path)
    assert session.session not in repr(session)
    for secret in (session.session, token, token.removeprefix("wk_"), GOOD):
        assert secret.encode() not in everything
    assert b"session.start" in everything


# tokens ---------------------------------------------------------------------------------------------------------------


def make(state: State, user: str = "ann", role: str = "viewer", days: float = 90) -> tuple[str, str]:
    secret, row = create_token(
        state, name="ci", user=user, role=role, lifetime=timedelta(days=days), now=NOON, actor=user
    )
    return f"Bearer {secret}", row.id_hash


def test_a_token_works_until_it_expires_or_is_revoked(state: State) -> None:
    add(state, "ann")
    header, id_hash = make(state)
    found = authenticate(state, header, NOON + timedelta(days=89))
    assert (found.name, found.role, found.via, found.csrf) == ("ann", Role.VIEWER, "token", "")
    with pytest.raises(AccessError, match="expired"):
        authenticate(state, header, NOON + timedelta(days=90))
    revoke_token(state, id_hash, actor="ann", now=NOON)
    with pytest.raises(AccessError, match="revoked"):
        authenticate(state, header, NOON)
    with pytest.raises(AccessError, match="no such token"):
        revoke_token(state, "0" * 64, actor="ann", now=NOON)


@pytest.mark.parametrize("microseconds", [1, 499, 500, 501, 999, 999_999])
def test_a_token_works_in_the_millisecond_it_was_made_in(state: State, microseconds: int) -> None:
    now = NOON + timedelta(microseconds=microseconds)
    add(state, "ann")
    secret, row = create_token(state, name="ci", user="ann", role="viewer", lifetime=LONGEST, now=now, actor="ann")
    own, _ = create_system_token(state, "cli", Role.ADMIN, now=now)
    assert authenticate(state, f"Bearer {secret}", now).role is Role.VIEWER
    assert authenticate(state, f"Bearer {own}", now).role is Role.ADMIN
    with pytest.raises(AccessError, match="expired"):
        authenticate(state, f"Bearer {secret}", row.expires_at)


def test_a_token_never_has_more_rights_than_its_user(state: State) -> None:
    add(state, "boss", Role.ADMIN)
    add(state, "ann")
    with pytest.raises(ForbiddenError):
        make(state, role="admin")
    header, _ = make(state, role="operator")
    set_role(state, "ann", "viewer", actor="boss", now=NOON)
    assert authenticate(state, header, NOON).role is Role.VIEWER
    set_disabled(state, "ann", True, actor="boss", now=NOON)
    with pytest.raises(AccessError):
        authenticate(state, header, NOON)


def test_a_token_of_the_command_line_is_the_administrators(state: State) -> None:
    with pytest.raises(ForbiddenError, match="there is no administrator yet"):
        token_owner(state, "system:cli", "")
    add(state, "boss", Role.ADMIN)
    add(state, "ann")
    assert token_owner(state, "system:cli", "") == "boss"
    assert token_owner(state, "system:cli", "ann") == "ann"
    assert token_owner(state, "ann", "") == "ann"
    with pytest.raises(ForbiddenError, match="its maker's own"):
        token_owner(state, "ann", "boss")
    add(state, "carl", Role.ADMIN)
    with pytest.raises(ForbiddenError, match="by `user`: boss, carl"):
        token_owner(state, "system:cli", "")


@pytest.mark.parametrize("days", [0, -1, 90.01])
def test_a_token_lives_ninety_days_at_most(state: State, days: float) -> None:
    add(state, "ann")
    with pytest.raises(WeakPasswordError, match="90 days"):
        make(state, days=days)


def test_the_engines_own_token_is_replaced_not_added(state: State) -> None:
    first, _ = create_system_token(state, "cli", Role.ADMIN, now=NOON)
    second, _ = create_system_token(state, "cli", Role.ADMIN, now=NOON)
    other, _ = create_system_token(state, "dashboard", Role.VIEWER, now=NOON)
    with pytest.raises(AccessError):
        authenticate(state, f"Bearer {first}", NOON)
    assert authenticate(state, f"Bearer {second}", NOON).name == "system:cli"
    assert authenticate(state, f"bearer {other}", NOON).role is Role.VIEWER
    with pytest.raises(WeakPasswordError, match="user name"):
        add(state, "system:cli")


# the guard ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Session x", "Bearer " + "x" * 600, "Bearer \ud800", "Token x"]
)
def test_everything_else_stays_outside(state: State, header: str) -> None:
    with pytest.raises(AccessError):
        authenticate(state, header, NOON)


@pytest.mark.parametrize(("role", "permission"), list(product(Role, Permission)))
def test_the_matrix_of_roles_is_as_written_down(role: Role, permission: Permission) -> None:
    least = {
        "read": "viewer",
        "write_samples": "writer",
        "kill_switch_clear": "admin",
        "approve_risky": "admin",
        "manage_users": "admin",
        "manage_rules": "admin",
    }
    ranks = list(Role)
    allowed = ranks.index(role) >= ranks.index(Role(least.get(permission.value, "operator")))
    assert (permission in PERMISSIONS[role]) is allowed
    principal = Principal(name="x", role=role, via="token")
    if allowed:
        require(principal, permission)
    else:
        with pytest.raises(ForbiddenError, match=role.value):
            require(principal, permission)


def test_a_session_must_repeat_its_csrf_token_and_a_machine_need_not(state: State) -> None:
    add(state, "ann")
    found = authenticate(state, enter(state, "ann"), NOON)
    require_csrf(found, found.csrf)
    require_csrf(Principal(name="x", role=Role.VIEWER, via="token"), None)
    for wrong in (None, "", found.csrf[:-1], "é"):
        with pytest.raises(ForbiddenError, match="CSRF"):
            require_csrf(found, wrong)


def test_risky_approvals_need_a_password_typed_just_now(state: State) -> None:
    add(state, "ann")
    header, later = enter(state, "ann"), NOON + timedelta(minutes=6)
    require_recent_password(authenticate(state, header, NOON), NOON)
    with pytest.raises(ForbiddenError, match="type your password"):
        require_recent_password(authenticate(state, header, later), later)
    session = header.removeprefix("Session ")
    with pytest.raises(AccessError, match="wrong"):
        confirm_password(state, session, "something else", source=HOME, now=later, hasher=QUICK)
    confirm_password(state, session, GOOD, source=HOME, now=later, hasher=QUICK)
    require_recent_password(authenticate(state, header, later), later)
    with pytest.raises(ForbiddenError):
        require_recent_password(Principal(name="system:cli", role=Role.ADMIN, via="token"), NOON)


# users ----------------------------------------------------------------------------------------------------------------


def test_the_last_administrator_stays(state: State) -> None:
    add(state, "boss", Role.ADMIN)
    with pytest.raises(ForbiddenError, match="last administrator"):
        set_disabled(state, "boss", True, actor="boss", now=NOON)
    with pytest.raises(ForbiddenError, match="last administrator"):
        set_role(state, "boss", "viewer", actor="boss", now=NOON)
    add(state, "ann", Role.ADMIN)
    set_role(state, "boss", "viewer", actor="ann", now=NOON)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "a:b", "a\n", "<b>"])
def test_odd_names_are_refused(state: State, name: str) -> None:
    with pytest.raises(WeakPasswordError, match="user name"):
        add(state, name)


def test_names_differ_by_more_than_case_and_mistakes_are_told(state: State) -> None:
    add(state, "ann")
    for twin in ("ann", "Ann"):
        with pytest.raises(WeakPasswordError, match="exists already"):
            add(state, twin)
    with pytest.raises(AccessError, match="not a role"):
        set_role(state, "ann", "god", actor="x", now=NOON)
    with pytest.raises(AccessError, match="no user named"):
        set_role(state, "bob", "viewer", actor="x", now=NOON)


def test_preferences_change_without_ending_the_session(state: State) -> None:
    add(state, "ann")
    header = enter(state, "ann")
    set_preferences(state, "ann", language="zh-CN", time_zone="Asia/Shanghai", now=NOON)
    found = authenticate(state, header, NOON)
    assert (found.language, found.time_zone) == ("zh-CN", "Asia/Shanghai")
    for wrong in ({"language": "xx"}, {"time_zone": "../etc/passwd"}):
        with pytest.raises(WeakPasswordError):
            set_preferences(state, "ann", now=NOON, **wrong)


def test_everything_about_people_is_in_the_audit(state: State) -> None:
    add(state, "boss", Role.ADMIN)
    add(state, "ann")
    with pytest.raises(AccessError):
        log_in(state, "ann", "wrong", source=HOME, now=NOON, hasher=QUICK)
    enter(state, "ann")
    set_disabled(state, "ann", True, actor="boss", now=NOON)
    with state.read() as unit:
        rows = [(row.actor, row.action, row.subject) for row in unit.audit.rows()]
        assert unit.audit.verify() is None
    assert rows[2:] == [
        ("anonymous", "session.refused", "ann"),
        ("ann", "session.start", "ann"),
        ("boss", "user.disable", "ann"),
    ]


def test_a_password_changed_during_the_check_wins(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    add(state, "ann")
    with state.read() as unit:
        user = unit.people.user("ann")
    assert user is not None

    def slow(*_: object, **__: object) -> object:
        with state.begin() as unit:
            unit.people.save_user(replace(user, disabled=True))
        return user

    monkeypatch.setattr("watchkeeper.access.sessions.verify_password", slow)
    with pytest.raises(AccessError):
        enter(state, "ann")
