"""Chains that carry values from step to step."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.probes import shown
from support.targets import TRUST, answer, target

from collectors.http_probe import HttpProbe
from collectors.http_steps import Step
from watchkeeper.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


async def test_an_http_chain_carries_values_and_compares_json(outbound: Outbound) -> None:
    pages = {"login": answer(b'{"token": "a b/c", "user": {"ok": true}}'), "me": answer(b'{"name": "Lin"}')}
    async with target(**pages) as server:
        server.pages["/me?t=a%20b%2Fc"] = server.pages["/me"]
        steps = [
            Step(name="login", url=server.url("/login"), carry={"token": "token"}, expect_json={"user.ok": True}),
            Step(
                name="me",
                url=server.url("/me?t={{token}}"),
                headers={"authorization": "Bearer {{token}}"},
                expect_json={"name": "Lin"},
            ),
        ]
        good = await shown(HttpProbe(steps=steps), outbound)
        steps[1].expect_json = {"name": "Wang"}
        wrong = await shown(HttpProbe(steps=steps), outbound)
    assert good["probe_success"] == 1.0
    assert wrong["probe_failure_info/json/me"] == 1.0


def test_a_chain_that_uses_what_nobody_carries_is_refused() -> None:
    with pytest.raises(ValueError, match="no earlier step carries"):
        HttpProbe(steps=[Step(name="a", url="http://shop.example/{{token}}")])
    with pytest.raises(ValueError, match="cannot choose the host"):
        Step(name="a", url="http://{{host}}/")
