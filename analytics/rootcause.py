"""Where an incident began: nodes that deviate and whose own needs do not explain it. Pure.

A node that calls a sick one gets sick itself. So a candidate counts by its own deviation, less what the nodes it calls
explain of it, and more when what calls it suffers too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .deviation import Deviation, deviation, direction

#: The share of a candidate's weight that hangs on whether its callers suffer too.
SUPPORT = 0.3
#: The weight of nodes that are seen from outside alone: their numbers are their caller's and the network's too.
OUTSIDE = 0.3
#: The ends of names that tracers give to such nodes.
_OUTSIDE_ENDS = ("_remote", "_client")
#: Deviations named for each candidate.
MOST_EVIDENCE = 5

Edge = tuple[str, str]  #: (caller, called)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One node that may be where it began."""

    node: str
    score: float  #: 0..1; compares within one incident
    strength: float  #: its own deviation, 0..1
    explained: float  #: share of it that a node it calls explains, 0..1
    explained_by: str = ""
    suffering: tuple[str, ...] = ()  #: its callers that deviate too, the worst first
    evidence: tuple[Deviation, ...] = field(default=(), repr=False)  #: the strongest first


def candidates(
    deviations: Iterable[Deviation], graph: Iterable[Edge], outside: frozenset[str] = frozenset()
) -> list[Candidate]:
    """All nodes that were seen, the likeliest cause first. ``outside``: nodes seen only by who calls them."""
    seen: dict[str, list[Deviation]] = defaultdict(list)
    for one in deviations:
        seen[one.node].append(one)
    for found in seen.values():
        found.sort(key=lambda one: (-one.strength, one.metric))
    worst = {node: found[0] for node, found in seen.items()}
    calls, callers = _both_ways(graph)
    weight = {node: OUTSIDE if node in outside or node.endswith(_OUTSIDE_ENDS) else 1.0 for node in worst}
    ranked = [
        _candidate(node, worst, weight, calls.get(node, ()), callers.get(node, ()), _telling(seen[node]))
        for node in worst
    ]
    return sorted(ranked, key=lambda one: (-one.score, -one.strength, one.node))


def _telling(found: Sequence[Deviation]) -> list[Deviation]:
    """The strongest; of those about as strong first alerts and what has a worse direction: they say more."""
    return sorted(
        found,
        key=lambda one: (
            -round(one.strength, 1),
            one.kind != "alert" and len(direction(one.kind)) > 1,
            -one.strength,
            one.metric,
        ),
    )[:MOST_EVIDENCE]


def _both_ways(graph: Iterable[Edge]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    calls: dict[str, set[str]] = defaultdict(set)
    callers: dict[str, set[str]] = defaultdict(set)
    for caller, called in graph:
        if caller != called:
            calls[caller].add(called)
            callers[called].add(caller)
    return calls, callers


def _candidate(
    node: str,
    worst: Mapping[str, Deviation],
    weight: Mapping[str, float],
    calls: Iterable[str],
    callers: Iterable[str],
    evidence: Sequence[Deviation],
) -> Candidate:
    own = worst[node]
    shares = [(_explains(worst[one], own) * weight[one], one) for one in sorted(calls) if one in worst]
    explained, by = max(shares, default=(0.0, ""))
    above = sorted((one for one in callers if one in worst), key=lambda one: (-worst[one].strength, one))
    support = 1.0 - SUPPORT + SUPPORT * worst[above[0]].strength if above else 1.0
    return Candidate(
        node=node,
        score=own.strength * (1.0 - explained) * weight[node] * support,
        strength=own.strength,
        explained=explained,
        explained_by=by if explained > 0 else "",
        suffering=tuple(one for one in above if worst[one].strength > 0),
        evidence=tuple(one for one in evidence if one.strength > 0),
    )


def _explains(called: Deviation, caller: Deviation) -> float:
    """How much of the caller's deviation comes from what it calls: not more than that moved itself."""
    if called.kind != caller.kind:
        return called.strength * min(1.0, called.strength / max(caller.strength, 1e-12))
    return called.strength * min(1.0, called.amount / max(caller.amount, 1e-12))


def rank(normal: Any, abnormal: Any, graph: Sequence[Edge] = ()) -> list[str]:
    """Nodes, the likeliest cause first: data frames of times by columns ``node|metric``, as ``deviations_of`` reads."""
    return [one.node for one in candidates(deviations_of(normal, abnormal), graph)]


def deviations_of(normal: Any, abnormal: Any) -> list[Deviation]:
    """Of every column ``node|metric`` (more after a further ``|``) of two data frames."""
    before = {str(name): np.asarray(normal[name], np.float64) for name in normal.columns}
    found = []
    for name in abnormal.columns:
        node, _, metric = str(name).partition("|")
        usual = before.get(str(name), np.array([], np.float64))
        kind = metric.partition("|")[0]
        found.append(deviation(node, metric, kind, usual, np.asarray(abnormal[name], np.float64)))
    return [one for one in found if one is not None]
