"""The configuration as a checked object, or one ConfigError with file, line, key and remedy."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from watchkeeper.config import yaml
from watchkeeper.config.schema import Config
from watchkeeper.errors import ConfigError

if TYPE_CHECKING:
    from watchkeeper.model import Service

Part = TypeVar("Part")
#: Section -> options that name a file themselves: they stay, and relative ones start from the configuration's folder.
#: Every other ``x_file`` reads the file's text into ``x``.
FILES: Mapping[str, frozenset[str]] = {
    "catalogue": frozenset({"ca_file", "bearer_token_file", "api_key_file"}),
    "collect": frozenset({"ca_file", "bearer_token_file", "api_key_file"}),
    "notify": frozenset({"ca_file"}),
    "remediation": frozenset({"ca_file", "pid_file"}),
    "remote_write": frozenset({"token_file"}),
}
#: What pydantic calls a key nobody knows.
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
#: Below the data folder, wherever the configuration lies.
IN_DATA = ("remediation", "kill_switch_file")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration with the document it came from, so that rooms' errors find their line."""

    config: Config
    document: yaml.Document
    base: Path  #: folder that relative paths in the file start from
    path: Path | None = None  #: the file itself; none: built-in defaults
    services: tuple[Service, ...] = ()  #: the catalogue, once its monitor sets are in ``config``
    left_out: tuple[str, ...] = ()  #: cells of inventories that could not be used, with file, line and column

    def section(self, path: Sequence[str | int], value: Any, options: type[Part]) -> Part:
        """A room's own section, checked by the room's options class."""
        try:
            return TypeAdapter(options).validate_python(value)
        except ValidationError as error:
            raise translate(error, self.document, tuple(path), _fields(options)) from None

    def part(self, path: Sequence[str | int], build: Any) -> Any:
        """Whatever ``build()`` makes; its ConfigError gets this file's place."""
        try:
            return build()
        except ConfigError as error:
            if error.file:
                raise
            below = error.key.split(".")[1:]
            place = (*path, *(int(step) if step.isdigit() else step for step in below))
            raise self.document.error(error.message, place) from None


def default_path() -> Path | None:
    """``$WATCHKEEPER_CONFIG``, else ./watchkeeper.yaml when it is there, else none: watch this host."""
    named = os.environ.get("WATCHKEEPER_CONFIG")
    if named:
        return Path(named)
    here = Path("watchkeeper.yaml")
    try:
        return here if here.exists() else None
    except OSError as error:
        why = f"the current folder cannot be looked into: {error.strerror}"
        raise ConfigError(f"{why}; go to another, or name the file with --config", file=str(here)) from None


def load(path: Path | None, *, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read and check. Without a file: every default, which watches this host."""
    if path is None:
        return Loaded(Config(), yaml.Document("(built-in defaults)", {}), Path.cwd())
    document = yaml.read(path, environment=environment)
    return replace(check(document, path.resolve().parent), path=path)


def check(document: yaml.Document, base: Path) -> Loaded:
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise document.error("must be a mapping of sections, such as `collect:`", ())
    data = _with_secret_files(data, document, base, ())
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise translate(error, document, (), list(Config.model_fields)) from None
    loaded = Loaded(config, document, base)
    _guard_addresses(loaded)
    return loaded


def translate(error: ValidationError, document: yaml.Document, prefix: yaml.Path_, known: Sequence[str]) -> ConfigError:
    """The first mistake, where it stands and what to do about it."""
    mistakes = error.errors(include_url=False)  # of a misspelt key its own line says more than the one it was meant for
    first = next((one for one in mistakes if one["type"] in UNKNOWN), mistakes[0])
    place = (*prefix, *_walk(first["loc"], document, prefix))
    if first["type"] in UNKNOWN:
        wrong = str(first["loc"][-1])
        near = difflib.get_close_matches(wrong, _siblings(first["loc"], known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; remove it or see docs/config.md"
        return document.error(f"unknown key{hint}", place)
    if first["type"] == "missing":
        return document.error("is missing; add it", place)
    message = first["msg"].removeprefix("Value error, ")
    return document.error(message[:1].lower() + message[1:], place)


def _walk(location: Sequence[str | int], document: yaml.Document, prefix: yaml.Path_) -> yaml.Path_:
    """Only the steps that exist in the file, plus the last key: pydantic also names union branches."""
    steps: list[str | int] = []
    for step in location:
        if (*prefix, *steps, step) in document.lines or step == location[-1]:
            steps.append(step)
    return tuple(steps)


def _siblings(location: Sequence[str | int], known: Sequence[str]) -> list[str]:
    """Names that would have been right at this place."""
    model: Any = Config
    names = list(known)
    for step in location[:-1]:
        field = getattr(model, "model_fields", {}).get(step)
        model = field.annotation if field is not None else None
        names = list(getattr(model, "model_fields", {})) or names
    return names


def _fields(options: type[Any]) -> list[str]:
    return list(getattr(options, "__dataclass_fields__", None) or getattr(options, "model_fields", {}))


def _with_secret_files(value: Any, document: yaml.Document, base: Path, path: yaml.Path_) -> Any:
    """``password_file: x`` reads the file's text into ``password``; so secrets stay out of the YAML."""
    if isinstance(value, list):
        return [_with_secret_files(item, document, base, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        place = (*path, key)
        if not key.endswith("_file") or not isinstance(item, str) or place == IN_DATA:
            result[key] = _with_secret_files(item, document, base, place)
        elif key in FILES.get(str(place[0]), ()):
            result[key] = str(base / item) if item else item
        else:
            result[key.removesuffix("_file")] = _secret(base / item, document, place)
    return result


def _secret(file: Path, document: yaml.Document, path: yaml.Path_) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise document.error(f"cannot read {file}: {error.strerror}", path) from None


def _guard_addresses(loaded: Loaded) -> None:
    """Plain HTTP on loopback only."""
    for name in ("engine", "dashboard"):
        section = getattr(loaded.config, name)
        host = section.listen.rpartition(":")[0].strip("[]")
        if section.tls is None and host not in ("127.0.0.1", "::1", "localhost") and not host.startswith("127."):
            raise loaded.document.error(
                f"{section.listen} is not loopback: add `tls:` with certificate and key, or listen on 127.0.0.1",
                (name, "listen"),
            )
