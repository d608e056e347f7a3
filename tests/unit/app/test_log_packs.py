"""The shipped rules over lines as OpenSSH, sudo and the account tools write them, in files and in the journal."""

from __future__ import annotations

import pytest

from watchkeeper.app.pipeline.log_packs import PACKS
from watchkeeper.app.pipeline.log_rules import LogRule
from watchkeeper.config.logs import LogMetric
from watchkeeper.model import LogBatch

FILE = "Nov 22 12:00:00 web-1 "
ISO = "2026-11-22T12:00:00.123456+08:00 web-1 "
FAILED, SIGNED, SUDO = "security_sign_in_failures_total", "security_sign_ins_total", "security_sudo_total"
REFUSED, ACCOUNTS = "security_sudo_refused_total", "security_accounts_changed_total"
#: Line -> metric and labels.
LINES: list[tuple[str, str, dict[str, str]]] = [
    (
        "Failed password for root from 203.0.113.7 port 51515 ssh2",
        FAILED,
        {"source": "203.0.113.7", "method": "password"},
    ),
    ("Failed none for invalid user admin from ::1 port 22 ssh2", FAILED, {"source": "::1", "method": "none"}),
    (
        f"{FILE}sshd[811]: Failed password for invalid user x from 6.6.6.6 port 1 ssh2 from 10.9.9.9 port 40000 ssh2",
        FAILED,
        {"source": "10.9.9.9", "method": "password"},
    ),
    (
        f"{ISO}sshd-session[9]: Accepted publickey for bob from 10.0.0.2 port 50022 ssh2: ED25519 SHA256:abc",
        SIGNED,
        {"source": "10.0.0.2", "method": "publickey", "user": "bob"},
    ),
    (
        "Accepted password for bob from fe80::1%eth0 port 1 ssh2",
        SIGNED,
        {"source": "fe80::1%eth0", "method": "password", "user": "bob"},
    ),
    (
        f"{FILE}sudo:    alice : TTY=pts/0 ; PWD=/home/a b ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx",
        SUDO,
        {"user": "alice", "target": "root"},
    ),
    (
        "backup : PWD=/ ; USER=postgres ; ENV=A=b ; COMMAND=/usr/bin/pg_dump shop",
        SUDO,
        {"user": "backup", "target": "postgres"},
    ),
    ("  eve : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", REFUSED, {"user": "eve"}),
    (
        f"{FILE}sudo[7]: eve : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        REFUSED,
        {"user": "eve"},
    ),
    ("eve : command not allowed ; PWD=/ ; USER=root ; COMMAND=/bin/sh", REFUSED, {"user": "eve"}),
    (f"{FILE}useradd[44]: new user: name=toor, UID=0, GID=0, home=/, shell=/bin/sh", ACCOUNTS, {"account": "toor"}),
    ("delete user 'bob'", ACCOUNTS, {"account": "bob"}),
    (f"{ISO}usermod[45]: add 'eve' to group 'sudo'", ACCOUNTS, {"account": "sudo"}),
    (f"{FILE}passwd[46]: pam_unix(passwd:chauthtok): password changed for bob", ACCOUNTS, {"account": "bob"}),
]
#: Lines that are none of it, or want to look like it.
OTHERS = [
    "Failed password for root from 203.0.113.7 port 51515",
    "nginx: Failed to bind to 10.0.0.1 port 80 ssh2x",
    "Accepted the proposal from alice",
    "user said: x : TTY=1 ; PWD=/ ; USER=root",
    "GET /?q=new user: name=toor HTTP/1.1",
    "app[3]: delete user 'bob'",
    "sudo: pam_unix(sudo:session): session opened for user root(uid=0)",
]


def seen(line: str) -> list[tuple[str, dict[str, str]]]:
    rules = [LogRule.of(row) for row in PACKS["security"]]
    batch = LogBatch.of((), [line], 0)
    return [(rule.options.name, dict(own)) for rule in rules for own, number in rule.read(batch)[0] if number == 1]


@pytest.mark.parametrize(("line", "metric", "own"), LINES)
def test_a_line_is_counted_once_under_who_and_where_from(line: str, metric: str, own: dict[str, str]) -> None:
    assert seen(line) == [(metric, own)]


@pytest.mark.parametrize("line", OTHERS)
def test_what_only_looks_like_it_is_not_counted(line: str) -> None:
    assert seen(line) == []


def test_names_are_those_of_metrics_and_differ() -> None:
    for rows in PACKS.values():
        names = [row.name for row in rows]
        assert len(set(names)) == len(names)
        assert all(isinstance(row, LogMetric) for row in rows)
