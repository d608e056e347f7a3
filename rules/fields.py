"""Reads fields of a rule file one by one: right type or an error that names file, line, key and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from watchkeeper.config.types import parse_duration
from watchkeeper.config.yaml import Document, Path_
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.promql import parse

from .template import TemplateError, check_template

LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fields:
    """One mapping of a file, with its place. Whatever is asked for is checked."""

    def __init__(self, document: Document, data: Any, path: Path_) -> None:
        self.document, self.path = document, path
        if not isinstance(data, dict):
            raise document.error("must be a mapping of keys to values", path)
        self.data: dict[str, Any] = data

    @property
    def line(self) -> int:
        return self.document.line(self.path)

    def error(self, message: str, *keys: str | int) -> ConfigError:
        return self.document.error(message, (*self.path, *keys))

    def known(self, *keys: str) -> None:
        """Refuse every key that is not one of these."""
        for key in self.data:
            if key not in keys:
                raise self.error(f"is not a known key; known keys are {', '.join(keys)}", key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.data.get(key)
        if value is None:
            if default is None:
                raise self.error(f"key {key!r} is missing; add it")
            return default
        if isinstance(value, dict | list):
            raise self.error("must be text", key)
        return as_text(value)

    def duration(self, key: str, default: timedelta = timedelta(0)) -> timedelta:
        value = self.data.get(key)
        if value is None:
            return default
        try:
            found: timedelta = parse_duration(value)
        except ValueError as error:
            raise self.error(str(error), key) from None
        return found

    def number(self, key: str, default: int = 0) -> int:
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error("must be a whole number, 0 or more", key)
        return value

    def promql(self, key: str, default: str | None = None) -> str:
        expr = self.text(key, default)
        if expr:
            self.check_promql(expr, key)
        return expr

    def check_promql(self, expr: str, *keys: str | int) -> None:
        try:
            parse(expr)
        except QueryError as error:
            raise self.error(f"is not valid PromQL: {error}", *keys) from None

    def texts(self, key: str) -> dict[str, str]:
        """A mapping of words to text; numbers and booleans are taken as they are written."""
        value = self.data.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error("must be a mapping of names to text", key)
        for name, item in value.items():
            if isinstance(item, dict | list):
                raise self.error("must be text", key, name)
        return {name: "" if item is None else as_text(item) for name, item in value.items()}

    def labels(self, key: str, *, templates: bool) -> dict[str, str]:
        found = self.texts(key)
        for name in found:
            if not LABEL_NAME.fullmatch(name) or name == "__name__":
                raise self.error("is not a label name; use letters, digits and _", key, name)
        if templates:
            self._check_templates(key, found)
        return found

    def templates(self, key: str) -> dict[str, str]:
        found = self.texts(key)
        self._check_templates(key, found)
        return found

    def items(self, key: str) -> Sequence[Any]:
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error("must be a list", key)
        return value

    def _check_templates(self, key: str, found: Mapping[str, str]) -> None:
        for name, text in found.items():
            try:
                check_template(text)
            except TemplateError as error:
                raise self.error(f"template cannot be used: {error}", key, name) from None


def as_text(value: Any) -> str:
    """A YAML scalar as the text Prometheus would read."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
