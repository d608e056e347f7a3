"""What a dependency graph says: who depends on whom in the end, in which layer, and on what everything hangs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from watchkeeper.model import Edge, Service


def reached(start: str, edges: Iterable[Edge]) -> set[str]:
    """Everything that ``start`` depends on, directly or not; ``start`` itself only within a cycle."""
    calls = _calls(edges)
    found: set[str] = set()
    waiting = list(calls.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += calls.get(name, ())
    return found


def dependents(edges: Sequence[Edge]) -> dict[str, set[str]]:
    """Service -> all that depend on it, directly or not."""
    sources = {edge.source for edge in edges}
    found: dict[str, set[str]] = {}
    for source in sorted(sources):
        for name in reached(source, edges) - {source}:
            found.setdefault(name, set()).add(source)
    return found


def layers(names: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Service -> layer: 0 is called by nobody, and each stands below all its callers; a cycle is cut at one edge."""
    known = sorted(set(names))
    calls, depth = _calls(edges), dict.fromkeys(known, 0)
    order = _callers_first(known, calls)
    place = {name: index for index, name in enumerate(order)}
    for name in order:
        for called in calls.get(name, ()):
            if called in place and place[called] > place[name]:  # else it closes a cycle
                depth[called] = max(depth[called], depth[name] + 1)
    return depth


def _callers_first(names: Sequence[str], calls: Mapping[str, set[str]]) -> list[str]:
    """Depth first, each name once all it calls are done, turned round: callers come before what they call."""
    done: list[str] = []
    seen: set[str] = set()
    called = {name for found in calls.values() for name in found}
    for start in sorted(names, key=lambda name: (name in called, name), reverse=True):
        stack = [(start, iter(sorted(calls.get(start, ()))))] if start not in seen else []
        seen.add(start)
        while stack:
            name, further = stack[-1]
            following = next((one for one in further if one not in seen), None)
            if following is None:
                done.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(calls.get(following, ())))))
    return done[::-1]


def single_points(services: Sequence[Service], edges: Sequence[Edge]) -> dict[str, list[str]]:
    """Services that run once and that others cannot do without -> those others.

    How often a service runs is its declared replicas, else the number of its addresses; unknown is not single.
    """
    needed = dependents(edges)
    return {
        one.name: sorted(needed[one.name])
        for one in services
        if one.name in needed and (one.replicas if one.replicas is not None else len(one.addresses)) == 1
    }


def _calls(edges: Iterable[Edge]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for edge in edges:
        found.setdefault(edge.source, set()).add(edge.target)
    return found
