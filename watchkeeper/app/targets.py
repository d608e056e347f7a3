"""The section ``remediation`` of the configuration, with every target's own options checked by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediation.actions import kind_of
from remediation.actions.base import COMMON_KEYS
from remediation.settings import Settings
from watchkeeper.config import Loaded
from watchkeeper.config.yaml import Path_

SECTION = "remediation"


def remediation_settings(loaded: Loaded) -> Settings:
    """Raises ConfigError with file, line, key and remedy for the first mistake, in a target's options too."""
    settings: Settings = loaded.part(
        (SECTION,), lambda: loaded.section((SECTION,), loaded.config.remediation, Settings)
    )
    for number, target in enumerate(settings.targets):
        _check(loaded, settings, (SECTION, "targets", number), target)
    return settings


def _check(loaded: Loaded, settings: Settings, place: Path_, target: Mapping[str, Any]) -> None:
    kind = loaded.part((*place, "kind"), lambda: kind_of(str(target["kind"])))
    own = {key: value for key, value in target.items() if key not in COMMON_KEYS}
    loaded.section(place, own, kind.options)
    test = target.get("test_target")
    if not test:
        return
    tried = settings.target(str(test))
    if tried is None or tried is target or tried["kind"] != target["kind"]:
        names = sorted(str(one["name"]) for one in settings.targets if one["kind"] == target["kind"] and one != target)
        known = f"there are {', '.join(names)}" if names else "there is none yet: add one"
        raise loaded.document.error(
            f"{test!r} is not another target of kind {target['kind']}; {known}", (*place, "test_target")
        )
