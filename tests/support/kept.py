"""Where samples are kept: in the engine's own folder, or on a real server. The same tests run on each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@pytest.fixture
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """By the test's parameter; embedded where it names none."""
    kind = getattr(request, "param", "embedded")
    if kind == "embedded":
        yield Kept(kind)
        return
    folder = tmp_path / kind
    folder.mkdir()
    with serve(kind, folder) as server:
        yield Kept(kind, server)


def shown_now(url: str) -> None:
    """VictoriaMetrics shows what it took some seconds later, or now. Other servers know no such address."""
    answers(f"{url}/internal/force_flush")


_REAL = [pytest.param(kind, marks=pytest.mark.servers) for kind in SERVERS]
_REAL_LONG = [pytest.param(kind, marks=[pytest.mark.servers, pytest.mark.long]) for kind in SERVERS]

#: In ``make test`` on all three.
everywhere = pytest.mark.parametrize("kept", ["embedded", *_REAL], indirect=True)
#: In ``make test`` on the embedded store; in ``make test-long`` on the servers too. Journeys get it without asking.
MOSTLY = ["embedded", *_REAL_LONG]
