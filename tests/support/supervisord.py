"""A real supervisord with a group of slots, in a folder of the test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from support.servers import Running, start

CONFIG = """
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
[unix_http_server]
file={folder}/s.sock
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:pool]
command=/bin/sleep 1000
process_name=%(program_name)s_%(process_num)d
numprocs={slots}
autostart=false
startsecs=0
"""


def supervisord(folder: Path, slots: int) -> Running:
    """``folder`` must have a short path: its socket lives there."""
    config = folder / "supervisord.conf"
    config.write_text(CONFIG.format(folder=folder, slots=slots))
    binary = str(Path(sys.executable).parent / "supervisord")
    return start([binary, "-c", str(config)], lambda: (folder / "s.sock").exists(), cwd=folder)


def target(folder: Path, **more: Any) -> dict[str, Any]:
    return {"name": "pool", "kind": "supervisord", "server": str(folder / "s.sock"), "group": "pool", **more}
