"""nginx in front of real HTTP servers of the test, its upstream in an include of its own."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.driven import Driven
from support.haproxy import Backend, wait_until
from support.servers import Running, free_port, listens, need, own_folder, start

from remediation.actions.nginx import NginxOptions, text_of

CONFIG = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log notice;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  include {folder}/shop.conf;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://shop; proxy_connect_timeout 1s; }} }}
}}
"""


@dataclass
class Proxy:
    running: Running
    folder: Path
    target: dict[str, Any]

    def asked(self, times: int) -> Counter[str]:
        return Counter(self._get() for _ in range(times))

    def _get(self) -> str:
        try:
            with urllib.request.urlopen(self.running.url, timeout=3) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code)

    def reloads(self) -> int:
        """By nginx's own log."""
        return (self.folder / "error.log").read_text().count("signal 1 (SIGHUP) received")


@contextmanager
def proxy(tmp: Path, *names: str) -> Iterator[Proxy]:
    backends = {name: Backend(name) for name in names or ("web1", "web2")}
    port, folder = free_port(), own_folder(tmp, "nginx")
    own: dict[str, Any] = {
        "include": str(folder / "shop.conf"),
        "upstream": "shop",
        "servers": {name: f"127.0.0.1:{each.port}" for name, each in backends.items()},
        "config": str(folder / "nginx.conf"),
        "nginx": need("nginx"),
        "pid_file": str(folder / "pid"),
        "floor": 1,
    }
    ready = {name: {"state": "ready", "weight": 1} for name in backends}
    (folder / "shop.conf").write_text(text_of(NginxOptions(**own), ready))
    os.utime(folder / "shop.conf", (1, 1))
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port))
    argv = [need("nginx"), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    try:
        with start(argv, lambda: listens(port), cwd=folder, url=f"http://127.0.0.1:{port}", port=port) as running:
            wait_until(lambda: (folder / "pid").exists())
            yield Proxy(running, folder, {"name": "front", "kind": "nginx", **own})
    finally:
        for backend in backends.values():
            backend.close()


@contextmanager
def driven(tmp: Path) -> Iterator[Driven]:
    with proxy(tmp) as made:
        yield Driven(settings=made.target, parameters={"drain": "web1"}, effects=made.reloads)
