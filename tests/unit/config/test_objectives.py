"""Objectives as they are written: exact targets, tiers with the contract's minutes, mistakes with their remedy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from watchkeeper.config.objectives import Objectives

SHOP: dict[str, Any] = {"name": "shop", "query": "up"}


def planned(start: str, end: str) -> dict[str, str]:
    return {"start": start, "end": end, "reason": "upgrade"}


def section(*items: dict[str, Any], **more: Any) -> Objectives:
    return Objectives.model_validate({"items": list(items), **more})


def test_five_nines_are_exact() -> None:
    written = yaml.safe_load("{name: shop, query: up, target: 99.999}")
    found = section(written)
    assert found.target(found.items[0]) == Decimal("99.999")


@pytest.mark.parametrize(
    ("tier", "target", "minutes"), [("core", "99.9", "43.8"), ("agent", "99.5", "216"), ("support", "99.0", "432")]
)
def test_the_shipped_tiers_are_those_of_the_contract(tier: str, target: str, minutes: str) -> None:
    found = section({**SHOP, "tier": tier})
    assert found.target(found.items[0]) == Decimal(target)
    assert found.contract(found.items[0]) == {"month": Decimal(minutes)}


def test_another_target_does_not_inherit_minutes_that_belong_to_the_tiers() -> None:
    found = section({**SHOP, "target": 99.99}, {**SHOP, "name": "b", "target": 99.99, "contract_minutes": {"year": 53}})
    assert [dict(found.contract(one)) for one in found.items] == [{}, {"year": Decimal(53)}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": 100}, "less than 100"),
        ({"query": ""}, "kind uptime needs query"),
        ({"kind": "ratio", "good": "a"}, "needs total"),
        ({"kind": "threshold"}, "needs at_most or at_least"),
        ({"at_most": 2}, "nothing else takes them"),
        ({"tier": "gold"}, "there are agent, core, support"),
        ({"name": "a b"}, "pattern"),
        ({"maintenance": [planned("2026-03-02T01:00:00Z", "2026-03-02T00:00:00Z")]}, "ends after"),
        ({"maintenance": [planned("2026-03-02T01:00:00", "2026-03-03T00:00:00")]}, "timezone"),
    ],
)  # fmt: skip
def test_mistakes_name_their_remedy(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        section({**SHOP, **change})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"items": [SHOP, SHOP]}, "share the name 'shop'"),
        ({"composites": [{"name": "all", "target": 99, "of": ["gone"]}]}, "names 'gone'"),
        ({"resolution": "7m"}, "divides the hour"),
        ({"resolution": "1s"}, "5s at least"),
    ],
)
def test_the_whole_must_fit_together(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Objectives.model_validate({"items": [SHOP], **more})
