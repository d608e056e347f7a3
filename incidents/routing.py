"""Who is told: routes in order, by labels and severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT
from watchkeeper.model import Severity

from .match import Matchers, fitting


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Route:
    channels: tuple[str, ...]  #: names of configured channels
    match: Matchers = ()  #: all must fit; none fits everything
    severity: tuple[Severity, ...] = ()  #: empty: every severity
    audience: str = ""  #: who reads there, for the tone of the message
    and_next: bool = False  #: later routes are asked too


def route(routes: Sequence[Route], labels: Mapping[str, str], severity: Severity) -> list[Route]:
    """The routes that apply, in order. Nothing when none fits: the caller tells every channel rather than nobody."""
    found: list[Route] = []
    for one in routes:
        if (one.severity and severity not in one.severity) or not fitting(one.match, [labels])[0]:
            continue
        found.append(one)
        if not one.and_next:
            break
    return found


def channels(routes: Sequence[Route], labels: Mapping[str, str], severity: Severity, every: Sequence[str]) -> list[str]:
    """Names of the channels to tell, each once. Without a fitting route all of ``every``: never nobody."""
    applying = route(routes, labels, severity)
    if not applying:
        return list(every)
    return list(dict.fromkeys(name for one in applying for name in one.channels))
