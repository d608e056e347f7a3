"""Journeys of a composed engine run on every sample store: on real servers in ``make test-long``, some always."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import engines
from support.kept import MOSTLY, Kept, kept

__all__ = ["kept", "kept_by_default"]


@pytest.fixture(autouse=True)
def kept_by_default(kept: Kept) -> Iterator[None]:
    """Engines that are built meanwhile keep their samples there."""
    with engines.keeping(kept.store):
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whoever builds engines and chooses no store himself meets all of them."""
    chosen = any("kept" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize"))
    alone = metafunc.definition.get_closest_marker("embedded_only") is not None
    if getattr(metafunc.module, "build", None) is engines.build and not chosen and not alone:
        metafunc.parametrize("kept", MOSTLY, indirect=True)
