"""What INFO and CLUSTER INFO say, as readings under redis_exporter's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .base import Reading
from .redis_names import IDENTITY, LINK, RENAMED, SAME, WORDS

_REPLICA = re.compile(r"slave\d+")
_MASTER = re.compile(r"master\d+")
_DATABASE = re.compile(r"db\d+")


def fields(text: str) -> dict[str, str]:
    """``name:value`` lines; headings and what is no such line are read over."""
    rows = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value.strip() for name, colon, value in rows if colon}


def identity(said: Mapping[str, str]) -> Reading:
    """Who answers: role, version, mode ... as labels."""
    return ("redis_instance_info", tuple((key, said.get(key, "")) for key in IDENTITY), 1.0)


def info(said: Mapping[str, str]) -> Iterator[Reading]:
    """Every field of INFO or CLUSTER INFO that has a metric, in the server's order."""
    link = (("master_host", said.get("master_host", "")), ("master_port", said.get("master_port", "")))
    for key, text in said.items():
        if key in RENAMED or key in SAME:
            yield from _one(f"redis_{RENAMED.get(key, key)}", (), text)
        elif key in LINK:
            yield from _one(f"redis_{LINK[key] or key}", link, text)
        else:
            yield from _listed(key, text)


def _listed(key: str, text: str) -> Iterator[Reading]:
    """Fields of which there are many: ``name:key=value,key=value``."""
    if key.startswith("cmdstat_"):
        yield from _each(_parts(text), (("cmd", key.removeprefix("cmdstat_")),), COMMAND)
    elif key.startswith("errorstat_"):
        yield from _each(_parts(text), (("err", key.removeprefix("errorstat_")),), ERROR)
    elif _DATABASE.fullmatch(key):
        yield from _each(_parts(text), (("db", key),), DATABASE)
    elif _REPLICA.fullmatch(key):
        parts = _parts(text)
        own = tuple((f"slave_{name}", parts.get(name, "")) for name in ("ip", "port", "state"))
        yield from _each(parts, own, REPLICA)
    elif _MASTER.fullmatch(key):
        yield from _master(_parts(text))


#: Key in the field, metric, and what makes it a base unit.
COMMAND = (
    ("calls", "redis_commands_total", 1.0),
    ("usec", "redis_commands_duration_seconds_total", 1e-6),
    ("rejected_calls", "redis_commands_rejected_calls_total", 1.0),
    ("failed_calls", "redis_commands_failed_calls_total", 1.0),
)
ERROR = (("count", "redis_errors_total", 1.0),)
DATABASE = (
    ("keys", "redis_db_keys", 1.0),
    ("expires", "redis_db_keys_expiring", 1.0),
    ("avg_ttl", "redis_db_avg_ttl_seconds", 1e-3),
)
REPLICA = (
    ("offset", "redis_connected_slave_offset_bytes", 1.0),
    ("lag", "redis_connected_slave_lag_seconds", 1.0),
)
MASTER = (("slaves", "redis_sentinel_master_slaves", 1.0), ("sentinels", "redis_sentinel_master_sentinels", 1.0))


def _master(parts: Mapping[str, str]) -> Iterator[Reading]:
    """One primary as a Sentinel sees it."""
    own = (("master_name", parts.get("name", "")), ("master_address", parts.get("address", "")))
    status = parts.get("status", "")
    yield ("redis_sentinel_master_status", (*own, ("master_status", status)), float(status == "ok"))
    yield from _each(parts, own, MASTER)


def _each(
    parts: Mapping[str, str], own: tuple[tuple[str, str], ...], table: Iterable[tuple[str, str, float]]
) -> Iterator[Reading]:
    for key, metric, scale in table:
        if key in parts:
            yield from _one(metric, own, parts[key], scale)


def _one(metric: str, own: tuple[tuple[str, str], ...], text: str, scale: float = 1.0) -> Iterator[Reading]:
    """The number, or nothing where the field is no number: unknown is not 0."""
    try:
        yield (metric, own, WORDS[text] if text in WORDS else float(text) * scale)
    except ValueError:
        return


def _parts(text: str) -> dict[str, str]:
    return {name: value for name, equals, value in (part.partition("=") for part in text.split(",")) if equals}
