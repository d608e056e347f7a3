"""What a Sentinel knows of its primaries beyond INFO: quorum, and replicas and Sentinels that are well."""

from __future__ import annotations

from collections.abc import AsyncIterator

from watchkeeper.wire.resp import Refused, Reply, Resp, pairs

from .base import Reading

#: Primaries of one Sentinel that are asked about in detail; each costs three commands.
MAX_MASTERS = 100


async def masters(server: Resp, listed: Reply) -> AsyncIterator[Reading]:
    """Series of each primary that SENTINEL MASTERS ``listed``, with labels master_name and master_address."""
    for row in listed[:MAX_MASTERS] if isinstance(listed, list) else ():
        said = pairs(row)
        name = said.get("name", "")
        own = (("master_name", name), ("master_address", f"{said.get('ip', '')}:{said.get('port', '')}"))
        if said.get("quorum", "").isdigit():
            yield ("redis_sentinel_master_setting_ckquorum", own, float(said["quorum"]))
        quorum = await server.call("SENTINEL", "CKQUORUM", name)
        yield ("redis_sentinel_master_ckquorum_status", own, float(not isinstance(quorum, Refused)))
        others = await server.call("SENTINEL", "SENTINELS", name)
        if isinstance(others, list):
            yield ("redis_sentinel_master_ok_sentinels", own, 1.0 + _well(others))  # the one that answers is well
        replicas = await server.call("SENTINEL", "SLAVES", name)
        if isinstance(replicas, list):
            yield ("redis_sentinel_master_ok_slaves", own, float(_well(replicas)))


def _well(rows: list[Reply]) -> int:
    """Those that no Sentinel holds to be down, and whose state is known."""
    flags = [pairs(row).get("flags", "s_down") for row in rows]
    return sum("s_down" not in flag and "o_down" not in flag for flag in flags)
