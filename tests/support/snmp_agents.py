"""net-snmp's own agent on loopback, and its own console."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from support.servers import Running, free_port, kept_alive, need, own_folder, start

CONFIG = """\
agentaddress udp:127.0.0.1:{port}
rocommunity watch 127.0.0.1
createUser plain
createUser clear SHA authsecret
createUser sealed SHA-256 authsecret AES privsecret
rouser plain noauth
rouser clear auth
rouser sealed priv
syslocation rack 7
"""


def snmpd(tmp: Path) -> Running:
    """Community ``watch``; users ``clear`` (SHA) and ``sealed`` (SHA-256, AES) with authsecret and privsecret."""
    folder, port = own_folder(tmp, "snmpd"), free_port()
    (folder / "snmpd.conf").write_text(CONFIG.format(port=port))
    argv = [need("snmpd"), "-f", "-Lo", "-C", "-c", str(folder / "snmpd.conf"), "-p", str(folder / "pid")]
    env = {"SNMP_PERSISTENT_DIR": str(folder), "SNMPCONFPATH": str(folder)}
    return start(argv, lambda: (folder / "pid").exists(), cwd=folder, env=env, port=port)


@cache
def shared_snmpd() -> Running:
    """One agent for every test of this process."""
    return kept_alive("snmpd", snmpd)


def console(port: int, oid: str) -> dict[str, str]:
    """``snmpbulkwalk``: index -> value as net-snmp prints it, numbers only."""
    argv = [need("snmpbulkwalk"), "-v2c", "-cwatch", "-On", "-Oq", "-Ot", "-Oe", f"127.0.0.1:{port}", oid]
    env = {"MIBS": "", "PATH": "/usr/bin:/bin"}
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30, env=env).stdout
    rows = (line.split(" ", 1) for line in said.splitlines() if line.startswith(f".{oid}."))
    return {name[len(oid) + 2 :]: value.strip('"') for name, value in rows}
