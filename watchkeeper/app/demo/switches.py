"""Switches of the shop: one JSON file that the actuator writes and the services look at before they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from watchkeeper.app.demo.place import Place

#: Switch -> its usual state, and the other one.
SWITCHES = {"quotes": ("live", "cached"), "orders": ("open", "stopped"), "gateway": ("main", "backup")}
#: What rehearsals turn.
TRIAL = {"trial": ("off", "on")}


def write(place: Place) -> None:
    """Everything as usual."""
    for file, switches in ((place.switches, SWITCHES), (place.trial_switches, TRIAL)):
        file.write_text(json.dumps({name: states[0] for name, states in switches.items()}, indent=1), encoding="utf-8")


class Switches:
    """As a service sees them; without the file everything is as usual."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __getitem__(self, name: str) -> str:
        try:
            found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        return str(found.get(name, SWITCHES[name][0]))

    def usual(self, name: str) -> bool:
        return self[name] == SWITCHES[name][0]


def targets(place: Place) -> list[dict[str, Any]]:
    """Targets of remediation: each switch alone, and one for rehearsals."""
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "kind": "feature_flag",
            "file": str(place.switches),
            "switches": {name: list(states)},
            "test_target": "switch-trial",
        }
        for name, states in SWITCHES.items()
    ]
    trial = {"name": "switch-trial", "kind": "feature_flag", "file": str(place.trial_switches)}
    return [
        *found,
        {**trial, "switches": {"trial": list(TRIAL["trial"])}, "test_parameters": {"state": {"trial": "on"}}},
    ]
