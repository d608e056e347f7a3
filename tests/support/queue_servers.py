"""Message brokers, proxies and etcd for tests, on loopback and gone when the test is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers import Running, free_port, listens, need, own_folder, start

RABBITMQ = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus}
"""
NGINX = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location = /stub_status {{ stub_status; }} location / {{ return 204; }} }}
}}
"""


@contextmanager
def rabbitmq(tmp: Path) -> Iterator[Running]:
    """RabbitMQ whose ``url`` is the management API and ``port`` that of its metrics; killed: leaving takes 10 s."""
    folder = own_folder(tmp, "rabbitmq")
    amqp, management, metrics, dist, mapper = (free_port() for _ in range(5))
    (folder / "rabbitmq.conf").write_text(RABBITMQ.format(amqp=amqp, management=management, prometheus=metrics))
    (folder / "plugins").write_text("[rabbitmq_management,rabbitmq_prometheus].")
    env = {
        "RABBITMQ_NODENAME": f"watchkeeper{amqp}@localhost", "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder), "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(amqp), "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(mapper),
    }  # fmt: skip
    need("rabbitmq-server")
    program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    with start([need("epmd")], lambda: listens(mapper), cwd=folder, env=env):  # else it would outlive the test
        running = start(
            [program],
            lambda: listens(metrics) and listens(management),
            cwd=folder,
            env=env,
            url=f"http://127.0.0.1:{management}",
            port=metrics,
        )
        try:
            yield running
        finally:
            running.kill()


def nats(tmp: Path, port: int = 0) -> tuple[Running, int]:
    """(NATS with JetStream whose ``url`` is the monitoring address, port for clients). The same folder: it goes on."""
    folder, monitoring, port = own_folder(tmp, "nats"), free_port(), port or free_port()
    program = Path(sys.executable).parent / "nats-server"
    argv = [str(program), "-a", "127.0.0.1", "-p", str(port), "-m", str(monitoring), "-js", "-sd", str(folder)]
    url = f"http://127.0.0.1:{monitoring}"
    return start(argv, f"{url}/healthz", cwd=folder, url=url, port=monitoring), port


def nginx(tmp: Path) -> Running:
    """nginx that answers 204 everywhere and its status at /stub_status."""
    port, folder = free_port(), own_folder(tmp, "nginx")
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    argv = [need("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(config)]
    return start(argv, lambda: listens(port), cwd=folder, url=f"http://127.0.0.1:{port}", port=port)


def etcd(tmp: Path) -> Running:
    """One member; ``url`` is what clients speak to."""
    port, peer, folder = free_port(), free_port(), own_folder(tmp, "etcd")
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    argv = [need("etcd"), "--name", "one", "--data-dir", str(folder / "data"), "--unsafe-no-fsync"]
    argv += ["--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer_url]
    argv += ["--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"one={peer_url}"]
    return start(argv, f"{url}/health", cwd=folder, url=url, port=port)
