"""Ports, files and accounts of this machine, against what the test itself opens and makes."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.kinds import values

from collectors.host_security import HostSecurity
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = Outbound(allow_private=True)


def machine(folder: Path) -> Path:
    """A root with two programs, one of them with root's rights, and files that anybody may change."""
    programs = folder / "usr/bin"
    programs.mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\nbroken\n")
    for name, mode in (("ls", 0o755), ("su", 0o4755), ("open", 0o757), ("sticky", 0o1777)):
        place = programs / name
        if name == "sticky":
            place.mkdir()
        else:
            place.write_text("")
        place.chmod(mode)
    (programs / "link").symlink_to("open")
    return folder


async def read(root: Path, now: datetime = NOON, part: HostSecurity | None = None, **options: Any) -> Collected:
    made = part or HostSecurity(name="s", rootfs=str(root), **options)
    return await made.collect(now, NOBODY)


async def test_files_with_too_many_rights_and_accounts_like_root_are_counted(tmp_path: Path) -> None:
    got = values((await read(machine(tmp_path))).ticks)
    wanted = {
        "host_world_writable_files": 1, "host_setuid_files": 1, "host_security_scanned_files": 6, "host_restart_due": 0,
        "host_accounts": 2, "host_privileged_accounts": 1,
    }  # fmt: skip
    assert {name: got[(name,)] for name in wanted} == wanted
    with (tmp_path / "etc/passwd").open("a") as file:
        file.write("toor:x:0:0::/:/bin/sh\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reboot-required").touch()
    got = values((await read(tmp_path)).ticks)
    assert (got[("host_privileged_accounts",)], got[("host_restart_due",)]) == (2, 1)


async def test_folders_are_looked_through_as_often_as_asked(tmp_path: Path) -> None:
    part = HostSecurity(name="s", rootfs=str(machine(tmp_path)))
    await read(tmp_path, part=part)
    (tmp_path / "usr/bin/open").chmod(0o755)
    soon = values((await read(tmp_path, NOON + timedelta(minutes=59), part)).ticks)
    later = values((await read(tmp_path, NOON + timedelta(minutes=60), part)).ticks)
    assert (soon[("host_world_writable_files",)], later[("host_world_writable_files",)]) == (1, 0)


async def test_a_port_that_opens_is_seen_with_its_reach_and_its_program(tmp_path: Path) -> None:
    with socket.socket() as near, socket.socket() as far:
        near.bind(("127.0.0.1", 0))
        far.bind(("0.0.0.0", 0))
        near.listen()
        far.listen()
        got = values((await read(machine(tmp_path))).ticks, "port", "protocol", "reach", "process")
        ports = {row[1:4]: row[4] for row in got if row[0] == "host_listening_port"}
        mine = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        assert ports[str(near.getsockname()[1]), "tcp", "loopback"] == mine
        assert ports[str(far.getsockname()[1]), "tcp", "network"] == mine


async def test_more_files_than_allowed_are_left_out_and_counted(tmp_path: Path) -> None:
    found = await read(machine(tmp_path), max_files=3)
    assert values(found.ticks)[("host_security_scanned_files",)] == 3
    assert found.rejected["max_files"] >= 1


async def test_a_machine_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="cannot be looked into") as failure:
        await read(tmp_path)
    assert failure.value.reason == "unsupported"
    with pytest.raises(ValueError, match="must be absolute"):
        HostSecurity(name="s", paths=["etc"])
