"""Kinds by name: a room's BUILTIN table first, then entry points of outside packages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from watchkeeper.errors import ConfigError


class Registry:
    """Builds parts of one room from their kind and options, with errors that name the place.

    ``group`` is the entry-point group outsiders use, for example ``watchkeeper.detectors``.
    """

    def __init__(self, room: str, builtin: Mapping[str, type[Any]]) -> None:
        self.room, self._builtin = room, dict(builtin)

    def kinds(self) -> list[str]:
        return sorted({*self._builtin, *(point.name for point in entry_points(group=f"watchkeeper.{self.room}"))})

    def get(self, kind: str) -> type[Any]:
        if kind in self._builtin:
            return self._builtin[kind]
        for point in entry_points(group=f"watchkeeper.{self.room}", name=kind):
            found: type[Any] = point.load()
            return found
        known = ", ".join(self.kinds())
        raise ConfigError(f"unknown kind {kind!r}; known kinds are {known}", key=self.room)

    def build(self, kind: str, options: Mapping[str, Any], *, key: str = "") -> Any:
        """The part, or ConfigError with ``key.option: message`` for the first wrong option."""
        part = self.get(kind)
        try:
            return TypeAdapter(part).validate_python(dict(options))
        except ValidationError as error:
            mistakes = error.errors()  # a misspelt option says more than the one it was meant for
            first = next((one for one in mistakes if one["type"] == "unexpected_keyword_argument"), mistakes[0])
            place = ".".join([key or f"{self.room}.{kind}", *(str(step) for step in first["loc"])])
            raise ConfigError(first["msg"], key=place) from None
