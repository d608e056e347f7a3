"""The example file loads, and names every option; so does docs/config.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from watchkeeper.config import Config, load

ROOT = Path(__file__).parents[3]


class Anything(dict[str, str]):
    """Every variable is set."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return f"set-{key}"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = _model(field.annotation)
        if inner is None:
            yield prefix + name
        else:
            listed = "list[" in str(field.annotation)
            yield from keys(inner, f"{prefix}{name}{'[]' if listed else ''}.")


def _model(annotation: Any) -> type[BaseModel] | None:
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def test_the_example_loads() -> None:
    config = load(ROOT / "watchkeeper.example.yaml", environment=Anything()).config
    assert [source.kind for source in config.collect.sources] == [
        "openmetrics",
        "prometheus_api",
        "http_probe",
        "sql_query",
        "log_file",
    ]


@pytest.mark.parametrize("key", sorted(keys(Config)))
def test_every_option_is_documented_and_shown(key: str) -> None:
    assert f"`{key}`" in (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    last = key.rpartition(".")[2]
    assert f"{last}:" in (ROOT / "watchkeeper.example.yaml").read_text(encoding="utf-8")


def test_docs_name_no_option_that_does_not_exist() -> None:
    lines = (ROOT / "docs" / "config.md").read_text(encoding="utf-8").splitlines()
    named = {line.split("`")[1] for line in lines if line.startswith("| `")}
    assert named - set(keys(Config)) == set()
