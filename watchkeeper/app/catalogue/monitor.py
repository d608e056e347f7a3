"""The collectors that a service gets from its kind: one for each address, or one for all, and its logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from collectors import BUILTIN as COLLECTORS
from watchkeeper.app.catalogue.kinds import Kind, KindSource, filled
from watchkeeper.app.sources import build_source
from watchkeeper.config import Loaded, Source, yaml
from watchkeeper.config.catalogue import Entry
from watchkeeper.errors import ConfigError
from watchkeeper.registry import Registry

#: Where an entry stands: the document to complain with, and its place there.
Place = tuple[yaml.Document, tuple[str | int, ...]]


def monitor_sources(
    loaded: Loaded, place: Place, entry: Entry, kinds: Mapping[str, Kind]
) -> Iterator[tuple[Place, Source]]:
    """The sources of one service, each built once so that a wrong option is told at its service."""
    kind = kinds.get(entry.kind)
    wanted = [one for one in kind.sources if not one.when or one.when in entry.options] if kind else []
    taken = {name for one in kind.sources for name in (*one.takes, one.when)} if kind else set()
    for name in entry.options:
        if name not in taken:
            known = ", ".join(sorted(taken - {""})) or "none"
            raise mistake(
                place, f"a service of kind {entry.kind or '(none)'} takes the options: {known}", "options", name
            )
    registry = Registry("collectors", COLLECTORS)
    for row in [*(row for one in wanted for row in _rows(one, entry, place)), *_logs(entry)]:
        try:
            build_source(row, loaded.config, registry)
        except ConfigError as error:
            option = f"{error.key.rpartition('.')[2]}: " if "." in error.key else ""
            raise mistake(place, f"its collector {row.kind} says: {option}{error.message}", "options") from None
        yield place, row


def _rows(one: KindSource, entry: Entry, place: Place) -> Iterator[Source]:
    """One source for each address, or one for all."""
    if not entry.addresses and _wants_address(one):
        raise mistake(place, f"a service of kind {entry.kind} needs addresses, such as [10.0.0.5:9100]", "addresses")
    taken = {name: entry.options[name] for name in one.takes if name in entry.options}
    addresses = entry.addresses if one.per == "address" and entry.addresses else [""]
    for address in addresses:
        words = {
            **{name: value for name, value in entry.options.items() if not isinstance(value, dict | list)},
            "service": entry.name, "address": address, "host": host(address), "port": port(address),
            "addresses": list(entry.addresses), "base": _base(address, "http"), "secure": _base(address, "https"),
            "authority": _authority(address),
        }  # fmt: skip
        name = ":".join(
            part for part in (entry.name, one.suffix, _short(address) if len(addresses) > 1 else "") if part
        )
        options = filled(one.options, words)
        yield _source(entry, one.kind, name, {**options, **taken}, one)


def _base(address: str, scheme: str) -> str:
    """The address as a URL, of this scheme where it names none."""
    return (address if "://" in address else f"{scheme}://{address}").rstrip("/")


def _source(entry: Entry, kind: str, name: str, options: dict[str, Any], one: KindSource | None = None) -> Source:
    labels = {"environment": entry.environment, "region": entry.region}
    interval = entry.interval or (one.interval if one else None)
    return Source(
        kind=kind,
        name=name[:100],
        interval=interval,
        service=entry.name,
        labels={key: value for key, value in labels.items() if value},
        **options,
    )


def _logs(entry: Entry) -> Iterator[Source]:
    if entry.logs:
        yield _source(entry, "log_file", f"{entry.name}:logs", {"paths": entry.logs})


def _wants_address(one: KindSource) -> bool:
    text = str(one.options)
    return any(
        "{" + word + "}" in text for word in ("address", "host", "port", "addresses", "base", "secure", "authority")
    )


def _authority(address: str) -> str:
    """``host:port``, or the host alone, of such an address or of a URL."""
    return (address.partition("://")[2] or address).partition("/")[0].rpartition("@")[2]


def host(address: str) -> str:
    """The host of ``host:port`` or of a URL."""
    rest = _authority(address)
    return rest.rpartition(":")[0] or rest if rest.rpartition(":")[2].isdigit() else rest


def port(address: str) -> str:
    """Its port, empty where there is none."""
    rest = (address.partition("://")[2] or address).partition("/")[0]
    tail = rest.rpartition(":")[2]
    return tail if tail.isdigit() and ":" in rest else ""


def with_port(address: str, default: int) -> str:
    """The address with the port that its kind usually has, where it names none itself; URLs stay."""
    bare = address.count(":") > 1 and not address.startswith("[")  # IPv6
    if "/" in address or not default or (port(address) and not bare):
        return address
    return f"[{address}]:{default}" if bare else f"{address}:{default}"


def _short(address: str) -> str:
    """An address as part of a source's name."""
    plain = (address.partition("://")[2] or address).rpartition("@")[2]
    return "".join(char if char.isalnum() or char in "_.:-" else "-" for char in plain)


def mistake(place: Place, message: str, *key: str) -> ConfigError:
    """The error of an entry, at its own line."""
    document, path = place
    return document.error(message, (*path, *key))
