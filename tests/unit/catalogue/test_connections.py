"""Edges from real connections of this machine."""

from __future__ import annotations

import socket
import subprocess
import sys

from collectors.connections import edges, endpoints, own_addresses

LISTENER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_connection_from_a_known_listener_to_a_known_address_is_an_edge() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as caller,
        subprocess.Popen([sys.executable, "-c", LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        assert other.stdout is not None
        called = other.stdout.readline().decode().strip()
        known = endpoints(
            [
                ("127.0.0.1", str(caller.getsockname()[1]), "shop"),
                ("localhost", called, "database"),
                ("db.example.com", "3306", "elsewhere"),
            ]
        )
        assert "elsewhere" not in known.values()
        with socket.create_connection(("127.0.0.1", int(called))):
            assert edges(known) == {("shop", "database")}
        other.communicate()


def test_a_connection_to_an_unknown_address_is_no_edge() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert edges({}) == set()


def test_own_addresses_are_plain() -> None:
    assert {"127.0.0.1", "::1"} <= own_addresses()
    assert not any("%" in one for one in own_addresses())
