"""Real servers for tests: on loopback, free ports, in a folder of the test, gone when the test is.

A server that is not installed fails the test in CI (``CI=true``) and skips it elsewhere, by name.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from getpass import getuser
from pathlib import Path

import pytest

from watchkeeper.model import Labels, format_series, metric_name

#: Where Debian keeps what is not on every user's PATH.
EXTRA_PATH = (
    "/usr/sbin",
    "/sbin",
    *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
    str(Path(__file__).parents[2] / ".servers" / "moto" / "bin"),
)
#: Seconds a server may take until it answers.
READY_WITHIN = 20.0
#: Starts a program that dies with its parent. A ``preexec_fn`` would do it too, but not beside other threads.
DIE_WITH_PARENT = ("--pdeathsig", "KILL", "--")


def need(binary: str) -> str:
    """Full path of a program; without it the test fails in CI and is skipped by name elsewhere."""
    found = shutil.which(binary) or shutil.which(binary, path=os.pathsep.join(EXTRA_PATH))
    if found:
        return found
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{binary} is not installed, and CI must run this test")
    pytest.skip(f"{binary} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A server and its process group. Usable as a context manager."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""  #: address of the service, where it has one
    port: int = 0

    def stop(self, *, within: float = 10.0) -> None:
        """End the whole group: politely, then by force."""
        for sign, patience in ((signal.SIGTERM, within), (signal.SIGKILL, 5.0)):
            self._signal(sign)
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End the group at once, as a crash would."""
        self._signal(signal.SIGKILL)
        self.process.wait(5.0)

    def said(self) -> str:
        """The end of the server's log."""
        return self.log.read_text(errors="replace")[-4000:]

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, sign: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, sign)
        except (ProcessLookupError, PermissionError):
            return  # the group is gone already


def answers(url: str) -> bool:
    """True when the URL answers with a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status < 400)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(
    argv: Sequence[str],
    ready: str | Callable[[], bool],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    url: str = "",
    port: int = 0,
) -> Running:
    """Start a server and wait until it is ready: a URL that answers, or a function that says so.

    ``user``: run as this account, which only root can do; otherwise it is ignored.
    """
    log = cwd / f"{Path(argv[0]).name}-{port or os.getpid()}.log"
    account = pwd.getpwnam(user) if user and os.geteuid() == 0 else None
    with log.open("ab") as out:
        process = subprocess.Popen(
            [need("setpriv"), *DIE_WITH_PARENT, *argv],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    running = Running(process, log, url, port)
    deadline = time.monotonic() + READY_WITHIN
    while not (answers(ready) if isinstance(ready, str) else ready()):
        if process.poll() is not None or time.monotonic() > deadline:
            state = f"ended with {process.returncode}" if process.returncode is not None else "is not ready"
            running.stop(within=1.0)
            raise AssertionError(f"{argv[0]} {state}; it said:\n{running.said()}")
        time.sleep(0.02)
    return running


def own_folder(tmp: Path, name: str, user: str | None = None) -> Path:
    """A folder for one server. For another user it lies outside ``tmp``, which pytest closes to everybody else."""
    if user is None or os.geteuid() != 0:
        folder = tmp / name
        folder.mkdir(exist_ok=True)
        return folder
    account = pwd.getpwnam(user)
    folder = Path(tempfile.mkdtemp(prefix=f"watchkeeper-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def node_exporter(tmp: Path) -> Running:
    """node_exporter; ``url`` is its /metrics page."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    argv = [need("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"]
    return start(argv, url, cwd=own_folder(tmp, "node_exporter"), url=url, port=port)


def prometheus(config_text: str, tmp: Path, *arguments: str, port: int = 0) -> Running:
    """Prometheus with this configuration; ``url`` is its root. ``{port}`` in the text is its own port.

    The same folder and port again: it goes on where it was.
    """
    port, folder = port or free_port(), own_folder(tmp, "prometheus")
    config = folder / "prometheus.yml"
    config.write_text(config_text.replace("{port}", str(port)))
    url = f"http://127.0.0.1:{port}"
    argv = [
        need("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *arguments,
    ]
    return start(argv, f"{url}/-/ready", cwd=folder, url=url, port=port)


def victoria_metrics(tmp: Path, *arguments: str, port: int = 0) -> Running:
    """VictoriaMetrics that keeps everything; ``url`` is its root. The same folder and port again: it goes on."""
    port, folder = port or free_port(), own_folder(tmp, "victoria")
    url = f"http://127.0.0.1:{port}"
    argv = [
        need("victoria-metrics"),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=64MB",
        *arguments,
    ]
    return start(argv, f"{url}/health", cwd=folder, url=url, port=port)


def filled_prometheus(
    samples: Mapping[Labels, Sequence[tuple[float, float]]], tmp: Path, config_text: str = "global: {}\n"
) -> Running:
    """A Prometheus that holds these (seconds, value) samples in its blocks, however old they are."""
    families: dict[str, list[str]] = {}
    for series, points in samples.items():
        lines = families.setdefault(metric_name(series), [])
        lines += [f"{format_series(series)} {value!r} {moment}" for moment, value in points]
    text = "".join(f"# TYPE {name} unknown\n" + "\n".join(lines) + "\n" for name, lines in families.items())
    (tmp / "samples.om").write_text(f"{text}# EOF\n")
    argv = [need("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(tmp / "samples.om")]
    subprocess.run([*argv, str(own_folder(tmp, "prometheus") / "data")], check=True, capture_output=True)
    return prometheus(config_text, tmp, "--storage.tsdb.retention.time=100y")


def haproxy(config_text: str, tmp: Path) -> Running:
    """HAProxy with this configuration. ``{port}`` is its first port, ``{socket}`` the Runtime API's path."""
    port, folder = free_port(), own_folder(tmp, "haproxy")
    config = folder / "haproxy.cfg"
    config.write_text(config_text.replace("{port}", str(port)).replace("{socket}", str(folder / "api.sock")))
    argv = [need("haproxy"), "-db", "-f", str(config)]
    return start(argv, lambda: listens(port), cwd=folder, url=f"http://127.0.0.1:{port}", port=port)


def redis(tmp: Path, *arguments: str, port: int = 0) -> Running:
    """Redis without persistence; ``url`` is redis://..."""
    port, folder = port or free_port(), own_folder(tmp, "redis")
    argv = [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    url = f"redis://127.0.0.1:{port}/0"
    return start([*argv, *arguments], lambda: listens(port), cwd=folder, url=url, port=port)


def memcached(tmp: Path) -> Running:
    """Memcached with 16 MB and 321 connections."""
    port, folder = free_port(), own_folder(tmp, "memcached")
    argv = [need("memcached"), "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "16", "-c", "321"]
    return start([*argv, "-u", getuser()], lambda: listens(port), cwd=folder, port=port)


@cache
def shared_memcached() -> Running:
    """One for every test of this process that only reads."""
    return kept_alive("memcached", memcached)


def redis_cli(port: int, *words: str) -> str:
    """What the server's own console says."""
    argv = [need("redis-cli"), "-h", "127.0.0.1", "-p", str(port), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


@cache
def shared_redis() -> Running:
    """One Redis for every test of this process that only reads; what reading counts has been counted once."""
    server = kept_alive("redis", redis)
    for words in ("config get maxclients", "slowlog len", "slowlog get 1", "latency latest", "info all"):
        redis_cli(server.port, *words.split())
    return server


def kept_alive(name: str, make: Callable[[Path], Running]) -> Running:
    """A server that lives until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"watchkeeper-shared-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = make(folder)
    atexit.register(server.stop)
    return server


def redis_sentinel(tmp: Path, primary: Running, *lines: str) -> Running:
    """One Sentinel that watches ``primary`` under the name ``shop``, with a quorum of one."""
    port, folder = free_port(), own_folder(tmp, "sentinel")
    config = folder / "sentinel.conf"
    watched = [f"sentinel monitor shop 127.0.0.1 {primary.port} 1", "sentinel down-after-milliseconds shop 500"]
    config.write_text("\n".join([f"port {port}", "bind 127.0.0.1", f"dir {folder}", *watched, *lines]) + "\n")
    argv = [need("redis-server"), str(config), "--sentinel"]
    return start(argv, lambda: listens(port), cwd=folder, port=port)


def _cluster_port() -> int:
    """A free port whose cluster bus, 10,000 higher, is free as well."""
    return next(port for port in iter(free_port, 0) if port < 55_000 and not listens(port + 10_000))


@contextmanager
def redis_cluster(tmp: Path, nodes: int = 6) -> Iterator[list[Running]]:
    """A cluster of ``nodes``, half of them primaries, joined and ready."""
    with ExitStack() as stack:
        made = []
        for number in range(nodes):
            (tmp / f"node{number}").mkdir()
            arguments = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            made.append(stack.enter_context(redis(tmp / f"node{number}", *arguments, port=_cluster_port())))
        addresses = [f"127.0.0.1:{node.port}" for node in made]
        redis_cli(made[0].port, "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        yield made


def postgres_server(tmp: Path, *arguments: str) -> Running:
    """PostgreSQL with one database; ``url`` is SQLAlchemy's. fsync is off: tests of durability say otherwise."""
    initdb, server = need("initdb"), need("postgres")
    port, folder = free_port(), own_folder(tmp, "postgres", "postgres")
    as_root = os.geteuid() == 0
    account = pwd.getpwnam("postgres") if as_root else None
    made = subprocess.run(
        [initdb, "-D", "data", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    assert made.returncode == 0, made.stderr
    argv = [server, "-D", "data", "-p", str(port), "-k", "", "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
    url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    return start([*argv, *arguments], lambda: _accepts(port), cwd=folder, user="postgres", url=url, port=port)


@cache
def shared_postgres() -> Running:
    """One PostgreSQL for the tests of this process that leave its settings alone."""
    settings = ("max_connections=42", "shared_preload_libraries=pg_stat_statements", "autovacuum=off")
    return kept_alive(
        "postgres", lambda folder: postgres_server(folder, *(word for one in settings for word in ("-c", one)))
    )


def postgres_standby(tmp: Path, primary: Running) -> Running:
    """A streaming replica of ``primary``."""
    port, folder = free_port(), own_folder(tmp, "standby", "postgres")
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    copy = [need("pg_basebackup"), "-D", "data", "-R", "-c", "fast", "-h", "127.0.0.1", "-p", str(primary.port)]
    made = subprocess.run(
        [*copy, "-U", "postgres", "--no-sync"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    assert made.returncode == 0, made.stderr
    argv = [need("postgres"), "-D", "data", "-p", str(port), "-k", "", "-c", "fsync=off", "-c", "max_connections=42"]
    argv += ["-c", "listen_addresses=127.0.0.1"]
    return start(argv, lambda: _accepts(port), cwd=folder, user="postgres", port=port)


def psql(port: int, sql: str, *, user: str = "postgres") -> list[list[str]]:
    """What the server's own console says, row by row."""
    argv = [need("psql"), "-XAtq", "-F", "\t", "-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", "postgres"]
    said = subprocess.run([*argv, "-c", sql], capture_output=True, text=True, check=True, timeout=30).stdout
    return [line.split("\t") for line in said.splitlines()]


def _accepts(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres connect_timeout=2").close()
    except psycopg.OperationalError:
        return False
    return True


def mariadb_server(tmp: Path, *arguments: str) -> Running:
    """MariaDB with one empty database ``shop``; ``url`` is SQLAlchemy's. Nothing of it is made to last."""
    make, server = need("mariadb-install-db"), need("mariadbd")
    port, folder = free_port(), own_folder(tmp, "mariadb", "mysql")
    as_root = os.geteuid() == 0
    account = pwd.getpwnam("mysql") if as_root else None
    small = ["--no-defaults", f"--datadir={folder}/data", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"]
    small += ["--innodb-flush-method=nosync", "--debug-no-sync", "--skip-innodb-doublewrite"]
    made = subprocess.run(
        [make, *small, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (folder / "data" / "shop").mkdir()
    if account:
        os.chown(folder / "data" / "shop", account.pw_uid, account.pw_gid)
    where = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/mariadb.sock", "--skip-name-resolve"]
    url = f"mysql+pymysql://root@127.0.0.1:{port}/shop"
    argv = [server, *small, *where, *arguments]
    return start(argv, lambda: listens(port), cwd=folder, user="mysql", url=url, port=port)


@cache
def shared_mariadb() -> Running:
    """One MariaDB for the tests of this process that leave its settings alone."""
    options = ("--performance-schema=on", "--max-connections=77", "--log-bin=changes", "--server-id=1")
    return kept_alive("mariadb", lambda folder: mariadb_server(folder, *options))


def mariadb_console(port: int, sql: str, *, user: str = "root") -> list[list[str]]:
    """What the server's own console says, row by row."""
    argv = [need("mariadb"), "--no-defaults", "-h127.0.0.1", f"-P{port}", f"-u{user}", "-N", "-B", "-e", sql]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    return [line.split("\t") for line in said.splitlines()]


def chromium() -> str:
    """Full path of the browser that the page tests drive."""
    return need("chromium")
