"""Where samples are kept: in the engine's own folder, or on a real server. The same tests run on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from support.servers import Running, answers, prometheus, victoria_metrics

SERVERS = ("prometheus", "victoria_metrics")


@dataclass(frozen=True)
class Kept:
    """``store`` is the configuration's section."""

    kind: str
    server: Running | None = None

    @property
    def store(self) -> dict[str, Any]:
        return {} if self.server is None else {"samples": {"url": self.server.url}}


def serve(kind: str, folder: Path, port: int = 0) -> Running:
    """A server that takes remote write."""
    if kind == "prometheus":
        return prometheus("global: {}\n", folder, "--web.enable-remote-write-receiver", port=port)
    return victoria_metrics(folder, port=port)


#: The section ``store`` of engines that are built or started now; the last one counts.
_now: list[dict[str, Any]] = [{}]


def kept_where(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of a configuration with where samples are kept now, and what they say of it themselves."""
    store = {**_now[-1], **sections.get("store", {})}
    return {**sections, "store": store} if store else dict(sections)


@contextmanager
def _keeping(found: Kept) -> Iterator[Kept]:
    """Engines that are built or started meanwhile keep their samples there."""
    _now.append(found.store)
    try:
        yield found
    finally:
        _now.pop()


def kept_for(scope: Literal["function", "module"]) -> Any:
    """The fixture ``kept``: a store by the test's parameter, embedded where it names none."""

    @pytest.fixture(scope=scope)
    def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
        kind = getattr(request, "param", "embedded")
        with ExitStack() as ending:
            server = None if kind == "embedded" else ending.enter_context(serve(kind, tmp_path_factory.mktemp(kind)))
            yield ending.enter_context(_keeping(Kept(kind, server)))

    return kept


def shown_now(url: str) -> None:
    """VictoriaMetrics shows what it took some seconds later, or now. Other servers know no such address."""
    answers(f"{url}/internal/force_flush")


_REAL = [pytest.param(kind, marks=pytest.mark.servers) for kind in SERVERS]
_REAL_LONG = [pytest.param(kind, marks=[pytest.mark.servers, pytest.mark.long]) for kind in SERVERS]

#: In ``make test`` on all three.
everywhere = pytest.mark.parametrize("kept", ["embedded", *_REAL], indirect=True)
#: In ``make test`` on the embedded store; in ``make test-long`` on the servers too. Journeys get it without asking.
MOSTLY = ["embedded", *_REAL_LONG]
