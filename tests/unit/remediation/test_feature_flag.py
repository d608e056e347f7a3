"""Switches over real HTTP and in a file: what somebody else wrote meanwhile stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.flag_server import Flags, flags
from support.remedies import PLAN, intent_of

from remediation.actions.feature_flag import FeatureFlag
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import Target

KIND, TARGET = FeatureFlag(), Target(kind="feature_flag", name="planner")


@pytest.fixture
def service() -> Iterator[Flags]:
    with flags() as made:
        yield made


def test_one_switch_changes_and_the_rest_of_the_document_stays(service: Flags) -> None:
    desired, back = KIND.desired(KIND.read(TARGET, service.target), {"state": {"mode": "cached"}})
    KIND.apply(desired, intent_of(PLAN), service.target)
    assert service.document == {"mode": "cached", "banner": "hello"}
    KIND.apply(back, intent_of(PLAN), service.target)
    assert service.document == {"mode": "full", "banner": "hello"}


def test_a_document_that_somebody_wrote_meanwhile_is_left_alone(service: Flags) -> None:
    service.before_put = lambda: service.write({"mode": "template", "banner": "theirs"})
    with pytest.raises(ActionError, match="was changed by somebody else meanwhile") as caught:
        KIND.apply({"mode": "cached"}, intent_of(PLAN), service.target)
    assert not caught.value.unknown
    assert service.document == {"mode": "template", "banner": "theirs"}


def test_a_value_that_is_not_declared_is_refused_before_and_at_the_effect(service: Flags) -> None:
    reading = KIND.read(TARGET, service.target)
    assert KIND.impact(reading, {"mode": "off"}, service.target).problem == "mode may not be off"
    with pytest.raises(ActionError, match="mode may not be off"):
        KIND.apply({"mode": "off"}, intent_of(PLAN), service.target)
    with pytest.raises(ActionError, match="there is no banner; there are mode"):
        KIND.desired(reading, {"state": {"banner": "bye"}})
    assert service.writes == 0


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps({"mode": "full", "banner": "hello"}))
    path.chmod(0o640)
    settings: dict[str, Any] = {"name": "planner", "file": str(path), "switches": {"mode": ["full", "cached"]}}
    for _ in range(2):
        KIND.apply({"mode": "cached"}, intent_of(PLAN), settings)
    assert json.loads(path.read_text()) == {"mode": "cached", "banner": "hello"}
    assert path.stat().st_mode & 0o777 == 0o640
    path.write_text("{")
    with pytest.raises(ActionError, match="the answer cannot be read"):
        KIND.read(TARGET, settings)
    path.write_text("{}")
    with pytest.raises(ActionError, match="there is no mode"):
        KIND.read(TARGET, settings)


@pytest.mark.parametrize("options", [{}, {"url": "http://127.0.0.1:1/", "file": "/flags.json"}])
def test_it_is_a_url_or_a_file(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="one of the two"):
        KIND.read(TARGET, {"name": "planner", "switches": {"mode": ["full"]}, **options})
