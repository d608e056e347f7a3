"""Services from a CSV as asset lists are exported: any encoding people save, any names of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collectors.bill_text import known, read_text, rows
from watchkeeper.config.catalogue import FIELDS, Entry, Inventory
from watchkeeper.errors import CollectError, ConfigError

#: Cells that hold several values are split at any of these.
SPLIT = str.maketrans({",": " ", ";": " ", "，": " ", "；": " ", "、": " ", "|": " "})
LISTS = ("addresses", "depends_on", "contacts")
RESOURCES = ("cpu", "memory", "disk")
#: Larger lists belong in a database.
MOST_ROWS = 20_000


def entries(inventory: Inventory, base: Path) -> Iterator[Entry]:
    """One entry a row. Raises ConfigError with file, line and column for the first row that is wrong."""
    path = base / inventory.file
    try:
        head, further = rows(path, read_text(path, path.read_bytes(), inventory.encoding))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except CollectError as error:
        raise ConfigError(str(error), file=str(path)) from None
    columns = _columns(inventory, head, path)
    for count, (line, row) in enumerate(further):
        if count >= MOST_ROWS:
            raise ConfigError(f"has more than {MOST_ROWS} rows; split it", file=str(path), line=line)
        yield _entry(columns, dict(zip(head, row, strict=False)), path, line)


def _columns(inventory: Inventory, head: list[str], path: Path) -> dict[str, str]:
    wanted: Mapping[str, str] = inventory.columns or {name: name for name in FIELDS if name in head}
    missing = sorted(column for column in wanted.values() if column not in head)
    if missing or "name" not in wanted:
        column = missing[0] if missing else "name"
        raise ConfigError(f"has no column {column!r}; it has {', '.join(head[:30]) or 'none'}", file=str(path), line=1)
    return dict(wanted)


def _entry(columns: Mapping[str, str], row: Mapping[str, str], path: Path, line: int) -> Entry:
    cells = {field: known(row.get(column, "")) for field, column in columns.items()}
    data: dict[str, Any] = {field: text for field, text in cells.items() if text and field not in RESOURCES}
    data |= {field: data[field].translate(SPLIT).split() for field in LISTS if field in data}
    limits = {field: cells[field] for field in RESOURCES if cells.get(field)}
    try:
        return Entry.model_validate({**data, "limits": {name: _plain(text) for name, text in limits.items()}})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        column = columns.get(str(first["loc"][-1] if first["loc"][0] == "limits" else first["loc"][0]), "")
        raise ConfigError(f"column {column!r}: {first['msg']}", file=str(path), line=line) from None


def _plain(text: str) -> float | str:
    """``8`` as well as ``16Gi``: asset lists write cores as numbers."""
    try:
        return float(text)
    except ValueError:
        return text
