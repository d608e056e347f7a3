"""nginx's stub_status, Tengine's too, and pages that are something else. The real server: test_queue_kinds.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.targets import TRUST, answer, target

from collectors.nginx_status import NAMES, NginxStatus
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TENGINE = b"""Active connections: 291
server accepts handled requests request_time
 16630948 16630946 31070465 9131
Reading: 6 Writing: 179 Waiting: 106
"""


async def read(page: bytes) -> dict[str, float]:
    async with target(stub_status=answer(page)) as server:
        outbound = Outbound(allow_private=True, verify=TRUST)
        try:
            (tick,) = (await NginxStatus(name="n", url=server.url("/stub_status")).collect(NOON, outbound)).ticks
        finally:
            await outbound.aclose()
    names = [dict(series)["__name__"] for series in tick.layout.series]
    return dict(zip(names, tick.values.tolist(), strict=True))


async def test_the_seven_figures_are_read_in_their_order() -> None:
    found = await read(TENGINE)
    assert [found[name] for name in NAMES] == [291, 16630948, 16630946, 31070465, 6, 179, 106]


@pytest.mark.parametrize("page", [TENGINE[:-12], TENGINE + b"x", TENGINE.replace(b"291", b"-1"), b"ok\n"])
async def test_a_page_that_is_cut_or_something_else_is_refused(page: bytes) -> None:
    with pytest.raises(CollectError, match="this is not nginx's stub_status page"):
        await read(page)
