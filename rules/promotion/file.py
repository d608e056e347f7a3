"""Rule files written: their names and their YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .step import Step


def named(file: Path, step: Step) -> Path:
    """The file beside it for the next environment: ``orders.test.yaml`` -> ``orders.prod.yaml``."""
    return file.with_name(f"{step.renamed(file.stem)}{file.suffix}")


def has_comments(text: str) -> bool:
    """Something stands between the tokens that YAML reads; comments inside expressions belong to these."""
    end = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if "#" in text[end : token.start_mark.index]:
            return True
        end = token.end_mark.index
    return "#" in text[end:]


def as_yaml(data: Any) -> str:
    """Keys in their order, lists indented, expressions of several lines as they stand."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001 - PyYAML's
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
