"""Objectives that services make by their kind, beside those that are written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from watchkeeper.app.catalogue.kinds import Kind, about_service
from watchkeeper.config.catalogue import Entry
from watchkeeper.config.objectives import Objective, Objectives


def promises(section: Objectives, entries: Sequence[Entry], kinds: Mapping[str, Kind], language: str) -> Objectives:
    """The section with one objective more for each promise of a service's kind; what is written down wins."""
    written = {one.name for one in section.items}
    made = [one for entry in entries for one in _of(entry, kinds.get(entry.kind), language) if one.name not in written]
    return section.model_copy(update={"items": [*section.items, *made]}) if made else section


def _of(entry: Entry, kind: Kind | None, language: str) -> Iterator[Objective]:
    if kind is None or not entry.objectives:
        return
    for one in kind.objectives:
        yield Objective(
            name=f"{entry.name[: 59 - len(one.name)]}.{one.name}",
            title=f"{entry.title or entry.name}: {one.title[language]}",
            service=entry.name,
            tier=entry.tier or kind.tier,
            owner=entry.owner,
            kind=one.kind,
            query=about_service(one.query, entry.name),
            good=about_service(one.good, entry.name),
            total=about_service(one.total, entry.name),
            at_most=one.at_most,
            at_least=one.at_least,
            combine=one.combine,
            target=one.target,
        )
