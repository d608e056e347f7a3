"""Workloads of a cluster as services of the catalogue: whose they are, how many should run, and what they need.

Every word is an annotation ``watchkeeper.io/<word>`` of the deployment or stateful set; where there is none, the labels
that Kubernetes recommends are read. A word that cannot be right is left out and told of, and harms no other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from watchkeeper.environments import ENVIRONMENTS, environment_of
from watchkeeper.model import Service

from .base import Reading
from .kubernetes_readings import quantity

Object = Mapping[str, Any]
#: Kind of ``kubernetes_api.PATHS`` -> its name for people, and where its status says how many serve.
WORKLOADS = {"deployment": ("Deployment", "availableReplicas"), "statefulset": ("StatefulSet", "readyReplicas")}
PREFIX = "watchkeeper.io/"
#: ``link.watchkeeper.io/runbook: https://...`` is the link "runbook".
LINK = "link.watchkeeper.io/"
#: Word -> labels that say the same where the annotation is missing.
LABELS = {
    "owner": ("owner", "team"),
    "environment": ("environment", "env"),
    "region": ("topology.kubernetes.io/region",),
}
NAME = re.compile(r"[\w.-]{1,60}")
#: Between the names of ``depends-on``, ``contacts``.
BETWEEN = re.compile(r"[\s,;，；、]+")
#: What a text may be long.
LONGEST = 200


@dataclass(slots=True)
class Workloads:
    """Remembers each kind's last listing: what may not be listed, or could not be, is not gone."""

    wrong: list[Reading] = field(default_factory=list)  #: annotations left out, by their place
    _known: dict[str, list[tuple[Service, str]]] = field(default_factory=dict)

    def read(self, listed: Mapping[str, Iterable[Object]]) -> list[Service] | None:
        """Every workload as a service; None before the first listing.

        Two of one name in different namespaces are both called ``name.namespace``.
        """
        self.wrong = []
        for kind in WORKLOADS:
            if kind in listed:
                self._known[kind] = [_service(kind, item, self.wrong) for item in listed[kind]]
        named = [pair for pairs in self._known.values() for pair in pairs]
        often = Counter(one.name for one, _ in named)
        found = [replace(one, name=f"{one.name}.{space}"[:60]) if often[one.name] > 1 else one for one, space in named]
        return found if self._known else None


def _service(kind: str, item: Object, wrong: list[Reading]) -> tuple[Service, str]:
    """The service and its namespace."""
    about, spec, said = item.get("metadata") or {}, item.get("spec") or {}, item.get("status") or {}
    title, serving = WORKLOADS[kind]
    space, name = str(about.get("namespace") or ""), str(about.get("name") or "")
    words = _Words(about, {"namespace": space, "workload": name}, wrong)
    pod = (spec.get("template") or {}).get("spec") or {}
    wanted = spec.get("replicas")
    service = Service(
        name=words.name("service") or name[:60],
        kind=words.said("kind"),
        title=words.said("title"),
        tier=words.said("tier"),
        owner=words.said("owner"),
        environment=environment_of(words.said("environment")) or _named_after(space),
        region=words.said("region"),
        depends_on=words.names("depends-on"),
        replicas=int(1 if wanted is None else wanted),
        limits=_each(pod.get("containers") or [], "limits"),
        requests=_each(pod.get("containers") or [], "requests"),
        links=words.links(),
        contacts=tuple(part for part in BETWEEN.split(words.said("contacts")) if part),
        origin="kubernetes",
        available=int(said.get(serving) or 0),
        place=f"{space}/{title}/{name}",
    )
    return service, space


def _named_after(space: str) -> str:
    """The environment that a namespace is named after; empty for other names."""
    found = environment_of(space)
    return found if found in set(ENVIRONMENTS.values()) else ""


def _each(containers: Sequence[Object], which: str) -> dict[str, float]:
    """What one instance may use: the sum over its containers, where every one of them says it."""
    given = [(one.get("resources") or {}).get(which) or {} for one in containers]
    shared = set.intersection(*(set(one) for one in given)) if given else set()
    return {str(name): sum(quantity(str(one[name])) for one in given) for name in sorted(shared)}


class _Words:
    """Annotations and labels of one object."""

    def __init__(self, about: Object, place: Mapping[str, str], wrong: list[Reading]) -> None:
        self._notes: Object = about.get("annotations") or {}
        self._labels: Object = about.get("labels") or {}
        self._place, self._wrong = place, wrong

    def said(self, word: str) -> str:
        """The annotation, else the first label that says the same."""
        given = self._notes.get(f"{PREFIX}{word}") or next(
            (self._labels[name] for name in LABELS.get(word, ()) if self._labels.get(name)), ""
        )
        return " ".join(str(given).split())[:LONGEST]

    def name(self, word: str) -> str:
        """A service's name; empty where there is none, or none that can be one."""
        text = self.said(word)
        return text if not text or self._right(word, text) else ""

    def names(self, word: str) -> tuple[str, ...]:
        parts = dict.fromkeys(part for part in BETWEEN.split(self.said(word)) if part)
        return tuple(part for part in parts if self._right(word, part))

    def links(self) -> dict[str, str]:
        return {word: address for word, address in self._links() if word}

    def _links(self) -> Iterator[tuple[str, str]]:
        for name, address in self._notes.items():
            if str(name).startswith(LINK):
                if str(address).startswith(("https://", "http://")):
                    yield str(name).removeprefix(LINK)[:60], str(address)[:1000]
                else:
                    self._tell(str(name))

    def _right(self, word: str, text: str) -> bool:
        if not NAME.fullmatch(text):
            self._tell(f"{PREFIX}{word}")
            return False
        return True

    def _tell(self, annotation: str) -> None:
        own = (*self._place.items(), ("annotation", annotation[:100]))
        self._wrong.append(("watchkeeper_kubernetes_annotation_wrong", own, 1.0))
