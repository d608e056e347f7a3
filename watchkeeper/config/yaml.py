"""YAML by the house: safe, bounded, no duplicate keys, and every value knows its line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from watchkeeper.errors import ConfigError

#: Larger files are a mistake or an attack.
MAX_BYTES = 1 << 20
MAX_DEPTH = 32
#: Levels that are composed at all; what is between is refused with its key.
COMPOSED_DEPTH = 200
#: Whole numbers beyond are no figures of ours, and printing one of many digits is an error in itself.
MAX_NUMBER = 1 << 63
#: The only tags a collection may have.
COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

_LOADER = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader

Path_ = tuple[str | int, ...]
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class AsWritten(Mapping[str, str]):
    """An environment in which every ``${NAME}`` stands for itself: files of rules and plans use no variables."""

    def __getitem__(self, name: str) -> str:
        return "${" + name + "}"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and, for each key path, the line it stands on."""

    file: str
    data: Any = field(repr=False)  #: with the secrets that stand in the file
    lines: Mapping[Path_, int] = field(default_factory=dict)

    def line(self, path: Path_) -> int:
        """The line of the value, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, message: str, path: Path_) -> ConfigError:
        return ConfigError(message, file=self.file, line=self.line(path), key=dotted(path))


def dotted(path: Path_) -> str:
    """``("collect", "sources", 0, "url")`` as ``collect.sources[0].url``."""
    text = ""
    for step in path[:12]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def read(path: Path, *, environment: Mapping[str, str] | None = None) -> Document:
    """The file as a Document. ``${NAME}`` is replaced from the environment; a missing one is an error."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    return parse(raw, str(path), environment=environment)


def parse(raw: bytes, file: str, *, environment: Mapping[str, str] | None = None) -> Document:
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES} bytes", file=file)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 at byte {error.start}; save it as UTF-8", file=file) from None
    try:
        _refuse_depth(text, file)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"is not valid YAML: {error.problem or error.context}", file=file, line=line) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"is not valid YAML: {error}", file=file) from None
    reader = _Reader(file, os.environ if environment is None else environment)
    data = None if node is None else reader.value(node, (), 0)
    return Document(file, data, reader.lines)


def _refuse_depth(text: str, file: str) -> None:
    """Composing calls itself for every level, in C: some thousand levels would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > COMPOSED_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError("nests too deep", file=file, line=line)


class _Reader:
    def __init__(self, file: str, environment: Mapping[str, str]) -> None:
        self.file, self.environment = file, environment
        self.lines: dict[Path_, int] = {}
        self._open: set[int] = set()
        self._budget = 100_000  # nodes, aliases unfolded: stops alias bombs

    def value(self, node: yaml.Node, path: Path_, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._budget -= 1
        if depth > MAX_DEPTH or self._budget < 0 or id(node) in self._open:
            raise self._error("nests too deep or repeats itself by aliases", line, path)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in COLLECTIONS:
            raise self._error(f"tag {node.tag!r} is not allowed", line, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path, depth)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("a key must be plain text", line, path)
            key = key_node.value
            if key in found:
                raise self._error("stands twice; keep one of them", line, (*path, key))
            self.lines[(*path, key)] = line
            found[key] = self.value(value_node, (*path, key), depth + 1)
        return found

    def _scalar(self, node: yaml.Node, path: Path_) -> Any:
        if node.tag in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"):
            return self._environment(str(node.value), path, node.start_mark.line + 1)
        if node.tag.startswith("tag:yaml.org,2002:"):
            try:
                found = _PLAIN.construct_document(node)
            except (yaml.YAMLError, ValueError) as error:
                raise self._error(f"cannot be read: {error}", node.start_mark.line + 1, path) from None
            if isinstance(found, int) and abs(found) > MAX_NUMBER:
                raise self._error("is too large a number", node.start_mark.line + 1, path)
            return found
        raise self._error(f"tag {node.tag!r} is not allowed", node.start_mark.line + 1, path)

    def _environment(self, text: str, path: Path_, line: int) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in self.environment:
                raise self._error(f"environment variable {name} is not set", line, path)
            return self.environment[name]

        return _ENV.sub(replace, text)

    def _error(self, message: str, line: int, path: Path_) -> ConfigError:
        return ConfigError(message, file=self.file, line=line, key=dotted(path))


_PLAIN = yaml.SafeLoader("")
