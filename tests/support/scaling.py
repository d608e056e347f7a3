"""A pool of workers as somebody runs it: a queue, workers under a real supervisord, and a real Watchkeeper.

Two workers do ten jobs a second and eight come in, so a burst stays until more of them work.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.servers import Running, free_port, start
from support.up import Up, running

HERE = Path(__file__).parent
OUT, IN = "jobs_more_workers", "jobs_fewer_workers"
LEAST, MOST, LIMIT = 2, 8, 100
#: Seconds one worker spends on one job, jobs that come in a second, and jobs of a burst.
JOB, PER_SECOND, BURST = 0.2, 8, 300
#: Workers that a burst of 300 needs at 40 each; and jobs a second that one of them does, with some air.
PER_WORKER_OUT, PER_WORKER_IN = 40, 4.5
#: How long idle must last before workers are taken away, in these runs.
CALM = 6

SUPERVISORD = """
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
[unix_http_server]
file={folder}/s.sock
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:jobs]
command={python} -S -E {worker} {port} %(process_num)d {job}
process_name=%(program_name)s_%(process_num)d
numprocs=10
autostart=false
startsecs=0
stopsignal=TERM
stdout_logfile=NONE
stderr_logfile={folder}/worker.log
[program:trial]
command=/bin/sleep 100000
process_name=%(program_name)s_%(process_num)d
numprocs=4
autostart=false
startsecs=0
"""
RULES = f"""
groups:
  - name: jobs
    interval: 1s
    rules:
      - alert: QueueBacklog
        expr: job_queue_pending_count > {LIMIT}
        for: 20s
        labels: {{severity: P2, service: jobs}}
        annotations: {{summary: jobs pile up}}
remediations:
  - name: {OUT}
    when: job_queue_pending_count > {LIMIT}
    observers:
      waiting: job_queue_oldest_age_seconds > 1
    confirm: 3 of 4
    interval: 1s
    action: supervisord
    target: jobs
    scale: {{direction: out, load: job_queue_pending_count, per_worker: {PER_WORKER_OUT}, min: {LEAST}, max: {MOST}}}
    mode: MODE
    owner: ada
    service: jobs
    verify: job_queue_pending_count > {LIMIT} and deriv(job_queue_pending_count[5s]) >= 0
    hold: 2s
    cooldown: 2s
  - name: {IN}
    when: job_queue_pending_count < 20 and job_queue_workers > {LEAST}
    observers:
      traffic: rate(job_queue_put_total[5s]) < 20
    confirm: 3 of 4
    interval: 1s
    action: supervisord
    target: jobs
    scale: {{direction: in, load: "sum(rate(job_queue_put_total[5s]))", per_worker: {PER_WORKER_IN},
             min: {LEAST}, max: {MOST}, step: STEP}}
    mode: MODE
    owner: ada
    service: jobs
    verify: job_queue_pending_count > {LIMIT}
    hold: 2s
    cooldown: 2s
"""


def sections(port: int, socket: Path, **remediation: Any) -> dict[str, Any]:
    supervisord = {"kind": "supervisord", "server": str(socket)}
    source = {"kind": "openmetrics", "name": "jobs", "url": f"http://127.0.0.1:{port}/metrics", "interval": "1s"}
    return {
        "collect": {"host": False, "own_logs": False, "sources": [{**source, "service": "jobs"}]},
        "rules": {"packs": [], "directories": ["rules"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
        "remediation": {
            "targets": [
                {
                    "name": "jobs",
                    "group": "jobs",
                    "floor": LEAST,
                    "ceiling": MOST + 1,
                    "test_target": "trial",
                    **supervisord,
                },
                {"name": "trial", "group": "trial", "test_parameters": {"count": 3}, **supervisord},
            ],
            **remediation,
        },
    }


@dataclass
class Pool:
    """Everything that runs."""

    up: Up
    port: int
    supervisor: Running
    options: dict[str, Any]

    def tell(self, path: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=b"", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def slots(self) -> list[str]:
        """Slots that run, as supervisord itself says."""
        from remediation.actions.supervisord import Supervisord
        from watchkeeper.model import Target

        found: Any = Supervisord().read(Target(kind="supervisord", name="jobs"), self.options).state["running"]
        return list(found)

    def start_by_hand(self, slot: str) -> None:
        """Somebody else adds a worker."""
        from remediation.actions.supervisord import SupervisordOptions, _call

        _call(SupervisordOptions(server=self.options["server"], group="jobs"), "startProcess", slot, done=0)

    def actions(self, rule: str) -> list[dict[str, Any]]:
        found = self.up.ask("GET", "/api/wk/actions?limit=200")["actions"]
        return [row for row in found if row["plan"]["rule"] == rule]

    def effects(self, rule: str) -> list[dict[str, Any]]:
        untouched = {"observed", "confirming", "cleared", "suppressed", "dry_run", "suggested", "proposed", "aborted"}
        return [row for row in self.actions(rule) if row["state"] not in untouched]

    def value(self, query: str) -> float:
        rows = self.up.ask("GET", f"/api/v1/query?query={quote(query)}")["data"]["result"]
        return float(rows[0]["value"][1]) if rows else math.nan

    def first_above(self, since: float) -> float | None:
        """Unix time of the first stored sample above the limit, after ``since``."""
        window = max(int(time.time() - since) + 2, 2)
        rows = self.up.ask("GET", f"/api/v1/query?query={quote(f'job_queue_pending_count[{window}s]')}")
        points = [point for series in rows["data"]["result"] for point in series["values"]]
        return next((float(at) for at, value in points if at >= since and float(value) > LIMIT), None)

    def until(self, what: str, look: Callable[[], Any], seconds: float = 60.0) -> Any:
        return self.up.until(what, look, seconds)


@contextmanager
def pool(*, mode: str = "auto", step: int = 1, **remediation: Any) -> Iterator[Pool]:
    """Started and settled: two workers keep up, and the way back is rehearsed."""
    given: dict[str, Any] = {
        "cooldown": "2s",
        "retry_after": "2s",
        "scale_in_after": f"{CALM}s",
        "read_every": "1s",
        "observe_after_gap": "3s",
        "flap_changes": 100,
        "budgets": {"actions": 100, "per_day": 1000},
        **remediation,
    }
    with tempfile.TemporaryDirectory(prefix="wk-scale-") as text, ExitStack() as ending:
        folder, port = Path(text), free_port()
        (folder / "rules").mkdir()
        (folder / "rules" / "jobs.yaml").write_text(RULES.replace("MODE", mode).replace("STEP", str(step)))
        queue = subprocess.Popen([sys.executable, str(HERE / "job_queue.py"), str(port)])
        ending.callback(queue.wait)
        ending.callback(queue.kill)
        socket = folder / "s.sock"
        (folder / "supervisord.conf").write_text(
            SUPERVISORD.format(folder=folder, python=sys.executable, worker=HERE / "job_worker.py", port=port, job=JOB)
        )
        binary = str(Path(sys.executable).parent / "supervisord")
        command = [binary, "-c", str(folder / "supervisord.conf")]
        supervisor = ending.enter_context(start(command, socket.exists, cwd=folder))
        options = {"server": str(socket), "group": "jobs"}
        by_hand = Pool(None, port, supervisor, options)  # type: ignore[arg-type]
        for number in range(LEAST):
            by_hand.start_by_hand(f"jobs:jobs_{number}")
        start_trial(options)
        up = ending.enter_context(running(folder, **sections(port, socket, **given)))
        found = Pool(up, port, supervisor, options)
        found.tell(f"/rate?per_second={PER_SECOND}")
        up.sign_in()
        for rule in (OUT, IN):
            up.ask("POST", f"/api/wk/rules/{rule}/rehearse", {})
        found.until("two workers that keep up", lambda: found.value("job_queue_workers") == LEAST, 30)
        found.until("a rate", lambda: found.value("rate(job_queue_put_total[5s])") > PER_SECOND / 2, 30)
        yield found


def start_trial(options: dict[str, Any]) -> None:
    from remediation.actions.supervisord import SupervisordOptions, _call

    settings = SupervisordOptions(server=options["server"], group="trial")
    for number in range(2):
        _call(settings, "startProcess", f"trial:trial_{number}", done=0)
