"""Kinds by name, with errors that name the place."""

from __future__ import annotations

import pytest
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT
from watchkeeper.errors import ConfigError
from watchkeeper.registry import Registry


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Part:
    window: int = 5


REGISTRY = Registry("detectors", {"part": Part})


def test_a_part_is_built_from_its_options() -> None:
    assert REGISTRY.build("part", {"window": 7}) == Part(window=7)


def test_an_unknown_option_names_room_kind_and_option() -> None:
    with pytest.raises(ConfigError) as caught:
        REGISTRY.build("part", {"wndow": 7})
    assert str(caught.value) == "detectors.part.wndow: Unexpected keyword argument"


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown kind 'prat'; known kinds are part"):
        REGISTRY.build("prat", {})


def test_kinds_are_listed() -> None:
    assert REGISTRY.kinds() == ["part"]
