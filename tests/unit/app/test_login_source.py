"""Failed tries are counted by where they come from, and nobody but the dashboard says where that is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.engines import PASSWORD, add_user, engine

from watchkeeper.access.roles import Role
from watchkeeper.app.api.app import create
from watchkeeper.app.api.source import PROOF, address
from watchkeeper.app.engine import Engine
from watchkeeper.app.quiet_server import quiet_server

SECRET = "the dashboard's own"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        add_user(found, "mei", Role.VIEWER)
        found.data.dashboard_proof.write_text(SECRET)
        yield found


def tries(api: TestClient, sources: list[str], proof: str = "") -> list[int]:
    headers = {PROOF: proof} if proof else {}
    return [
        api.post("/api/wk/login", headers=headers, json={"name": "mei", "password": "no", "source": one}).status_code
        for one in sources
    ]


@pytest.mark.parametrize("proof", ["", "a guess"])
def test_naming_ever_new_addresses_does_not_dodge_the_wait(house: Engine, proof: str) -> None:
    with TestClient(create(house), client=("10.0.0.9", 1)) as api:
        assert tries(api, [f"10.1.1.{n}" for n in range(6)], proof)[-1] == 429


def test_a_stranger_cannot_lock_out_the_address_of_somebody_else(house: Engine) -> None:
    with TestClient(create(house), client=("10.0.0.9", 1)) as api:
        tries(api, ["10.2.2.2"] * 8)
    body = {"name": "mei", "password": PASSWORD, "source": "10.2.2.2"}
    with TestClient(create(house), client=("127.0.0.1", 1)) as api:
        assert api.post("/api/wk/login", headers={PROOF: SECRET}, json=body).status_code == 200


def test_the_dashboard_is_believed_about_its_visitors(house: Engine) -> None:
    with TestClient(create(house), client=("127.0.0.1", 1)) as api:
        assert tries(api, ["10.3.3.3"] * 6, SECRET)[-1] == 429
        assert tries(api, ["10.4.4.4"], SECRET) == [401]


def test_all_addresses_of_one_ipv6_network_count_as_one() -> None:
    assert address("2001:db8:1:2::1") == address("2001:db8:1:2:ffff::9") != address("2001:db8:1:3::1")
    assert address("::ffff:10.0.0.1") == address("10.0.0.1")


def test_forwarded_addresses_count_only_behind_a_proxy() -> None:
    assert not quiet_server(None, "127.0.0.1:9700", None).config.proxy_headers
    assert quiet_server(None, "127.0.0.1:8050", None, proxied=True).config.proxy_headers
