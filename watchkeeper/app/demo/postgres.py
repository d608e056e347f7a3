"""The shop's own PostgreSQL: a private cluster without a port, reached by a socket in a folder of ours."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.app.children import Child
from watchkeeper.app.demo.place import CLUSTER, Place
from watchkeeper.app.paths import write_private
from watchkeeper.errors import WatchkeeperError

#: Accounts, best first, for a server that refuses to run as root.
ACCOUNTS = ("postgres", "nobody")
#: Seconds until the demo goes on with SQLite; a quiet machine needs two.
PATIENCE = 15.0
#: Database, the shop's own account, and the one that Watchkeeper reads with.
DATABASE, OWNER, READER = "shop", "shop", "watchkeeper"
#: Small, and nothing is mourned after the hour: durability is off.
SETTINGS = (
    "listen_addresses=", "unix_socket_permissions=0700", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
    "shared_buffers=16MB", "max_connections=120", "timezone=UTC", "log_timezone=UTC",
    "logging_collector=on", "log_directory=log", "log_min_messages=fatal",
)  # fmt: skip


class PostgresError(WatchkeeperError):
    """PostgreSQL is there and does not start."""


@dataclass(slots=True)
class Cluster:
    folder: Path  #: as it is, not as the link in the demo's folder
    child: Child

    @property
    def url(self) -> str:
        """What Watchkeeper reads with, in SQLAlchemy's words."""
        from sqlalchemy import URL

        found = URL.create("postgresql+psycopg", username=READER, database=DATABASE, query={"host": str(self.folder)})
        return found.render_as_string(hide_password=False)

    def address(self, database: str = DATABASE) -> str:
        """What the shop writes with, in libpq's words."""
        from psycopg.conninfo import make_conninfo

        return make_conninfo("", host=str(self.folder), user=OWNER, dbname=database)

    def stop(self) -> None:
        """At once and in order: a plain SIGTERM would wait for whoever is connected."""
        process = self.child.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def find_binaries() -> Path | None:
    """Folder of ``initdb`` and ``postgres``; the newest where there are several."""
    found = [one for one in Path("/usr/lib/postgresql").glob("*/bin") if (one / "initdb").exists()]
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).parent / "postgres").exists():
        return Path(on_path).parent
    return max((one for one in found if one.parent.name.isdigit()), key=lambda one: int(one.parent.name), default=None)


def start(place: Place, binaries: Path) -> Cluster:
    """A running, empty shop database. Raises PostgresError, with nothing left running."""
    account = _account()
    folder = _folder(place, account)
    try:
        _initdb(binaries, folder, account)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    settings = [word for one in SETTINGS for word in ("-c", one)]
    argv = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *settings]
    name = account.pw_name if account else ""
    found = Cluster(folder, Child("postgres", [sys.executable, "-m", "watchkeeper.app.demo.tied", name, *argv]))
    found.child.start()
    try:
        _wait(found)
        _database(found)
    except BaseException:
        found.stop()
        found.remove()
        raise
    write_private(place.shop_address, found.address())
    return found


def grant(cluster: Cluster) -> None:
    """The reader sees every table that is there, and changes none."""
    import psycopg

    with psycopg.connect(cluster.address()) as found:
        found.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")


def _account() -> pwd.struct_passwd | None:
    """None: our own, which is not root."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("it does not run as root, and there is no account postgres or nobody")


def _folder(place: Place, account: pwd.struct_passwd | None) -> Path:
    if account is None:
        place.postgres.mkdir(mode=0o700)
        return place.postgres
    folder = Path(tempfile.mkdtemp(prefix=CLUSTER))  # root's folders are closed to the account
    os.chown(folder, account.pw_uid, account.pw_gid)
    place.postgres.symlink_to(folder)
    return folder


def _initdb(binaries: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
    argv = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", OWNER, "-A", "trust", "-N", "-E", "UTF8"]
    try:
        made = subprocess.run(  # noqa: S603 - a path that the demo looked up
            [*argv, "--locale=C"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresError(f"initdb: {error}") from None
    if made.returncode:
        raise PostgresError(f"initdb: {(made.stderr.strip().splitlines() or ['no word'])[-1]}")


def _wait(cluster: Cluster) -> None:
    import psycopg

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(cluster.address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError as error:
            ended = cluster.child.process is None or cluster.child.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise PostgresError(f"it {'has ended' if ended else 'does not answer'}: {error}") from None
            time.sleep(0.05)
        else:
            return


def _database(cluster: Cluster) -> None:
    import psycopg

    try:
        with psycopg.connect(cluster.address("postgres"), autocommit=True) as found:
            found.execute(f"CREATE ROLE {READER} LOGIN")
            found.execute(f"ALTER ROLE {READER} SET default_transaction_read_only = on")
            found.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.Error as error:
        raise PostgresError(str(error)) from None
