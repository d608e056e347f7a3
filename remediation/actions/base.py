"""What every kind of action shares: its options checked, its reading hashed, its refusals worded alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from remediation.situation import Impact
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

#: Keys of a target that belong to remediation itself, not to the kind.
COMMON_KEYS = frozenset({"name", "kind", "test_target", "test_parameters"})

#: Shorter ones are parts of ordinary words.
SHORTEST_SECRET = 4

Options = TypeVar("Options")


class Kind(Protocol):
    """``watchkeeper.ports.Action`` plus what gates need to know beforehand. Kinds keep no state."""

    risk: RiskClass  #: of the kind at its mildest; a plan's own class is in its impact
    capabilities: ClassVar[tuple[str, ...]]  #: what it can do, as docs/remediation.md lists it
    link: ClassVar[str]  #: how a dual link asks for a switch: "servers", "primary", or "" when its rule must say it
    options: ClassVar[type[Any]]  #: strict options of its targets

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading: ...

    def desired(
        self, reading: Reading, parameters: Mapping[str, Any]
    ) -> tuple[dict[str, object], dict[str, object]]: ...

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        """What gates need to know about the change. Pure."""
        ...

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        """True when the target is in the wanted state. Pure."""
        ...

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        """True when everything the plan names is as it was before, or as we wanted it: nobody else was here."""
        ...

    def apply(
        self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]
    ) -> Mapping[str, object]: ...


def options_of(wanted: type[Options], settings: Mapping[str, Any], kind: str) -> Options:
    """The target's options, checked; errors name the key."""
    own = {key: value for key, value in settings.items() if key not in COMMON_KEYS}
    try:
        return TypeAdapter(wanted).validate_python(own)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["remediation.targets", str(settings.get("name", kind)), *map(str, first["loc"])])
        raise ConfigError(first["msg"], key=place) from None


def secrets_in(wanted: type[Any], settings: Mapping[str, Any]) -> list[str]:
    """Values of a target's options that nobody may read, longest first: what others say may repeat them."""
    found: list[str] = []
    for each in fields(wanted):
        if "SecretStr" in str(each.type):
            value = settings.get(each.name, "")
            found += map(str, value.values() if isinstance(value, Mapping) else [value])
    return sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)


def state_hash(state: object) -> str:
    """A short hash that changes when anybody changes the state."""
    text = json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def names_in(value: object, what: str) -> list[str]:
    """A name or a list of names, as people write parameters."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise ActionError(f"{what}: write a name or a list of names")
    return list(names)


def mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ActionError(f"{what} is not a mapping")
    return value


def each_holds(state: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """The same for members of a pool, each with words of its own."""
    return all(holds(mapping(state.get(name, {}), name), mapping(change, name)) for name, change in desired.items())


def each_untouched(
    state: Mapping[str, object], before: Mapping[str, object], desired: Mapping[str, object]
) -> bool:  # fmt: skip
    return all(
        untouched(mapping(state.get(name, {}), name), mapping(before.get(name, {}), name), mapping(change, name))
        for name, change in desired.items()
    )


def holds(state: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """True when the state has every value that is wanted."""
    return all(name in state and state[name] == value for name, value in desired.items())


def untouched(state: Mapping[str, object], before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
    """True when every value named is as it was before, or as we wanted it."""
    return all(state.get(name) in (value, before.get(name)) for name, value in desired.items())


def impact_of_a_switch(
    to: str, *, touched: bool, healthy: float, total: float, floor: float, risk: RiskClass, problem: str = ""
) -> Impact:
    """The service moves to ``to``: one thing changes, and as many are healthy afterwards as before."""
    return Impact(
        touched=(to,) if touched else (),
        healthy_after=healthy,
        total=total,
        floor=floor,
        ceiling=total,
        direction=f"switch:{to}" if touched else "same",
        risk=risk,
        problem=problem if touched else "",
    )
