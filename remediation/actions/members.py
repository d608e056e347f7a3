"""Servers behind a balancer, each with a share of the traffic: what is wanted of which, and what that does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from remediation.situation import Impact
from watchkeeper.model import RiskClass
from watchkeeper.ports import Reading

from . import said
from .base import mapping, names_in

Members = Mapping[str, Mapping[str, Any]]


def desired_of(
    parameters: Mapping[str, Any],
    now: Members,
    words: Collection[str],
    weights: tuple[int, int],
    meant: Callable[[str, Mapping[str, object]], dict[str, object]] = lambda _, change: dict(change),
) -> tuple[dict[str, object], dict[str, object]]:
    """What is wanted of which server, and what leads back. ``meant``: of a server, what a change is as its state."""
    asked = wanted_of(parameters, words)
    checked(asked, now, words, weights)
    wanted = {name: meant(name, change) for name, change in asked.items()}
    return dict(wanted), before(now, wanted)


def wanted_of(parameters: Mapping[str, Any], words: Iterable[str]) -> dict[str, dict[str, object]]:
    """From ``servers: {name: {state, weight}}`` and the short forms, a state and the names that shall be in it."""
    said.check_words(parameters, ("servers", *words))
    wanted: dict[str, dict[str, object]] = {}
    for word in words:
        for name in names_in(parameters.get(word, []), word):
            wanted[name] = {"state": word}
    for name, change in mapping(parameters.get("servers", {}), "servers").items():
        wanted[name] = dict(mapping(change, f"servers.{name}"))
    return wanted


def checked(
    wanted: Mapping[str, Mapping[str, object]],
    known: Iterable[str],
    states: Collection[object],
    weights: tuple[int, int],
) -> None:
    """Refuses a server, a word or a value that nobody knows."""
    names = set(known)
    for name, change in wanted.items():
        if name not in names:
            raise said.nobody("servers", name, names)
        if not change or set(change) - {"state", "weight"}:
            raise said.one_of(f"servers.{name}", ("state", "weight"))
        if "state" in change and change["state"] not in states:
            raise said.one_of(f"servers.{name}.state", states)
        if "weight" in change:
            said.whole_number(f"servers.{name}.weight", change["weight"], *weights)


def before(now: Members, wanted: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """What leads back: of every server and word that is wanted, what it is now."""
    return {name: {key: now[name][key] for key in change} for name, change in wanted.items()}


def known_up(reading: Reading) -> Callable[[str], bool | None]:
    """Is this server healthy? None: its balancer does not look at it now."""

    def up(name: str) -> bool | None:
        found = reading.capacity.get(f"up.{name}")
        return None if found is None else found > 0

    return up


def impact_of(
    now: Members,
    desired: Mapping[str, object],
    *,
    share: Callable[[Mapping[str, Any]], int],
    up: Callable[[str], bool | None],
    floor: float,
) -> Impact:
    """Some get more and some less is a switch, class A2; ``share``: of a server's state, 0 takes no traffic."""
    after = {name: {**each, **mapping(desired.get(name, {}), name)} for name, each in now.items()}
    touched = tuple(sorted(name for name in now if now[name] != after[name]))
    given = [name for name in touched if share(after[name]) > share(now[name])]
    taken = [name for name in touched if share(after[name]) < share(now[name])]
    switch = bool(given and taken)
    serving = [up(name) for name in after if share(after[name]) > 0]
    return Impact(
        touched=touched,
        healthy_after=float(serving.count(True)),
        unchecked_after=float(serving.count(None)),
        total=float(len(now)),
        floor=floor,
        ceiling=float(len(now)),
        direction=f"switch:{given[0]}" if switch else "in" if taken else "out" if given else "same",
        risk=RiskClass.A2 if switch else RiskClass.A1,
    )
