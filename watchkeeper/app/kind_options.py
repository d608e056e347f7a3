"""What a kind takes: its options with defaults and what each means, read from the kind itself."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

#: Options that the configuration gives to every source.
GIVEN = ("name", "labels")


@dataclass(frozen=True, slots=True)
class Option:
    name: str  #: of an option within a list, ``steps[].url``
    default: str  #: ``required`` where there is none
    about: str


def about(kind: type[Any]) -> str:
    """The first sentence of what it says about itself."""
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def options_of(kind: type[Any], prefix: str = "") -> Iterator[Option]:
    """Those that can be written under a source, in the order they are declared, required ones first."""
    hints = typing.get_type_hints(kind)
    fields = [one for one in dataclasses.fields(kind) if one.init and (prefix or one.name not in GIVEN)]
    told = comments(kind)
    for one in sorted(fields, key=lambda field: _default(field) != "required"):
        yield Option(
            prefix + one.name, _default(one), "; ".join(filter(None, (_choices(hints[one.name]), told.get(one.name))))
        )
        for item in _items(hints.get(one.name)):
            yield from options_of(item, f"{prefix}{one.name}[].")


def comments(kind: type[Any]) -> dict[str, str]:
    """Option -> the comment that stands at it; a class nearer to the kind counts before those it comes from."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if dataclasses.is_dataclass(one) and one.__module__ in sys.modules:
            found |= _of_class(one)
    return found


@lru_cache
def _of_class(one: type[Any]) -> dict[str, str]:
    lines = inspect.getsource(sys.modules[one.__module__]).splitlines()
    tree = ast.parse("\n".join(lines))
    body = next((node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == one.__name__), [])
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            behind = lines[(node.end_lineno or node.lineno) - 1].partition("#: ")[2]
            above = lines[node.lineno - 2].strip()
            found[node.target.id] = behind or (above.removeprefix("#: ") if above.startswith("#: ") else "")
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    value, factory = field.default, field.default_factory
    if isinstance(value, FieldInfo):
        value, factory = value.default, value.default_factory or dataclasses.MISSING
    if factory is not dataclasses.MISSING:
        value = typing.cast("Any", factory)()
    if value is dataclasses.MISSING or type(value).__name__ == "PydanticUndefinedType" or value is ...:
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "none" if value is None else "empty"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _choices(hint: Any) -> str:
    return ", ".join(map(str, typing.get_args(hint))) if typing.get_origin(hint) is typing.Literal else ""


def _items(hint: Any) -> Iterator[type[Any]]:
    """Classes of options that a list holds."""
    for part in typing.get_args(hint):
        if isinstance(part, type) and dataclasses.is_dataclass(part):
            yield part
