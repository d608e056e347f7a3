"""Services from a CSV as asset lists are exported: any encoding people save, any names of columns, any state of order.

What a cell says that cannot be used is left out and told with its line and column; the rest of its row stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.bill_text import read_text
from watchkeeper.app.catalogue.inventory_table import Table, table
from watchkeeper.app.catalogue.words import TIERS
from watchkeeper.app.catalogue.words import kind as kind_of
from watchkeeper.config.catalogue import LONGEST_NAME, Entry, Inventory
from watchkeeper.config.types import parse_quantity
from watchkeeper.environments import plain
from watchkeeper.errors import CollectError, ConfigError

#: Cells that hold several values are split at any of these, most of them at spaces, too.
BETWEEN = re.compile(r"[,;，；、|\n]+")
BETWEEN_OR_SPACE = re.compile(r"[\s,;，；、|]+")
TEXTS = ("title", "owner", "environment", "region", "pool")
#: Larger lists belong in a database.
MOST_ROWS = 20_000
#: What stands behind a number of cores, of instances.
COUNTED = re.compile(r"(\d+(?:\.\d+)?)\s*(?:核心|核|c|cores?|v?cpus?|个|台|套|实例)?", re.IGNORECASE)
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
#: A number of bytes below this has lost its unit.
LEAST_BYTES = 1 << 20
ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?[\w.@:/?=&%\[\]-]+", re.IGNORECASE | re.ASCII)


@dataclass(slots=True)
class Read:
    """What an inventory brings."""

    entries: list[Entry] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)  #: of each entry
    told: list[str] = field(default_factory=list)  #: what was left out, with file, line and column


def entries(inventory: Inventory, base: Path, kinds: Collection[str], tiers: Collection[str]) -> Read:
    """One service for the rows of each name and kind. Raises ConfigError when the file is no such list."""
    path = base / inventory.file
    try:
        text = read_text(path, path.read_bytes(), inventory.encoding)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except CollectError as error:
        raise ConfigError(str(error), file=str(path)) from None
    found = table(path, text, inventory.columns)
    if len(found.rows) > MOST_ROWS:
        raise ConfigError(f"has more than {MOST_ROWS} rows; split it", file=str(path))
    means = {plain(word): kind for word, kind in inventory.kinds.items()}
    for kind in means.values():
        if kind not in kinds:
            raise ConfigError(f"kinds: {kind!r} is no service kind; see `watchkeeper services kinds`", file=str(path))
    reader = _Rows(path, found, means, kinds, tiers)
    for line, row in found.rows:
        reader.take(line, row)
    return reader.read(inventory.options)


class _Rows:
    """Rows on their way to services: those of one name and kind are instances of one."""

    def __init__(
        self, path: Path, table: Table, means: Mapping[str, str], kinds: Collection[str], tiers: Collection[str]
    ) -> None:
        self._path, self._table, self._means, self._kinds, self._tiers = path, table, means, kinds, tiers
        self._made: dict[tuple[str, str], dict[str, Any]] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._rows: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], list[int]] = {}  #: column and message -> lines

    def take(self, line: int, row: list[str]) -> None:
        cells = {name: self._table.cell(row, name) for name in self._table.columns}
        name = clean(cells["name"])
        if not name:
            self._tell(line, "name", "says no name; the row is left out")
            return
        data: dict[str, Any] = {word: cells[word] for word in TEXTS if cells.get(word)}
        if name != cells["name"]:
            data.setdefault("title", cells["name"])
        data["name"], data["kind"] = name, self._kind(line, cells.get("kind", ""))
        data["addresses"] = self._addresses(line, cells)
        data["depends_on"] = [one for one in map(clean, _parts(cells.get("depends_on", ""))) if one not in ("", name)]
        data["contacts"] = [one.strip() for one in BETWEEN.split(cells.get("contacts", "")) if one.strip()]
        data["tier"] = self._tier(line, cells.get("tier", ""))
        replicas = self._number(line, "replicas", cells.get("replicas", ""), _count)
        data["replicas"] = None if replicas is None else int(replicas)
        data["limits"] = {
            resource: amount
            for resource, read in (("cpu", _count), ("memory", _size), ("disk", _size))
            if (amount := self._number(line, resource, cells.get(resource, ""), read)) is not None
        }
        self._add(line, data)

    def _add(self, line: int, data: dict[str, Any]) -> None:
        key = data["name"], data["kind"]
        self._rows[key] = self._rows.get(key, 0) + 1
        if key not in self._made:
            self._made[key], self._lines[key] = data, line
            return
        first = self._made[key]
        for word, said in data.items():
            if isinstance(said, list):
                first[word] = list(dict.fromkeys([*first[word], *said]))
            elif word == "limits":
                first[word] = {**said, **first[word]}
            elif not first.get(word):
                first[word] = said

    def read(self, options: Mapping[str, Mapping[str, Any]]) -> Read:
        found, names = Read(told=list(self._messages())), set[str]()
        for (name, kind), data in self._made.items():
            own = name if name not in names else f"{name}-{kind or 'other'}"[:LONGEST_NAME]
            names.add(own)
            if data["replicas"] is None and self._rows[name, kind] > 1:
                data["replicas"] = self._rows[name, kind]
            if data["depends_on"]:
                data["depends_on"] = list(dict.fromkeys(one for one in data["depends_on"] if one != own))
            given = dict(options.get(kind, {})) if kind else {}
            found.entries.append(Entry.model_validate({**data, "name": own, "options": given}))
            found.lines.append(self._lines[name, kind])
        return found

    def _kind(self, line: int, text: str) -> str:
        kind = self._means.get(plain(text)) or kind_of(text, self._kinds)
        if not kind or kind in self._kinds:
            return kind
        self._tell(line, "kind", f"{text!r} is no service kind; say what it is by `kinds: {{{text}: ...}}`")
        return ""

    def _addresses(self, line: int, cells: Mapping[str, str]) -> list[str]:
        port, found = cells.get("port", "").removesuffix(".0"), dict[str, None]()
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            self._tell(line, "port", f"{port!r} is no port")
            port = ""
        for one in _parts(cells.get("addresses", "")):
            if not ADDRESS.fullmatch(one):
                self._tell(line, "addresses", f"{one!r} is no address")
                continue
            found[f"{one}:{port}" if port and "://" not in one and ":" not in one else one] = None
        return list(found)

    def _number(self, line: int, name: str, text: str, read: Callable[[str, str], float]) -> float | None:
        if not text:
            return None
        try:
            return read(text, self._table.columns[name].unit)
        except ValueError as error:
            self._tell(line, name, f"{text!r}: {error}")
            return None

    def _tier(self, line: int, text: str) -> str:
        found = next((one for one in (text, text.casefold(), TIERS.get(text, "")) if one in self._tiers), "")
        if text and not found:
            self._tell(line, "tier", f"{text!r} is none of {', '.join(sorted(self._tiers))}")
        return found

    def _tell(self, line: int, name: str, message: str) -> None:
        self._told.setdefault((self._table.columns[name].title, message), []).append(line)

    def _messages(self) -> Iterator[str]:
        """Each once, at its first line."""
        for (title, message), lines in self._told.items():
            more = f" (and {len(lines) - 1} more rows)" if len(lines) > 1 else ""
            yield f"{self._path}:{lines[0]}: column {title!r}: {message}{more}"


def clean(text: str) -> str:
    """A name out of a cell: letters of every script, digits and ``_ . -``; all else becomes a dash."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w.-]+", "-", text)).strip("-.")[:LONGEST_NAME].rstrip("-.")


def _parts(text: str) -> list[str]:
    return [one for one in BETWEEN_OR_SPACE.split(text) if one]


def _count(text: str, _unit: str) -> float:
    found = COUNTED.fullmatch(text.replace(",", ""))
    if found is None:
        raise ValueError("write a number such as 8")
    return float(found[1])


def _size(text: str, unit: str) -> float:
    """Bytes of ``16GB``, ``16 g``, ``16384M``, or a bare number in the unit that the column's head names."""
    found = SIZE.fullmatch(text.replace(",", ""))
    if found is None:
        raise ValueError("write a size such as 16GB")
    word = found[2] or unit
    spelt = word[:1].upper() + word[1:].replace("b", "B").replace("I", "i")
    amount: float = parse_quantity(f"{found[1]}{spelt}")
    if not word and 0 < amount < LEAST_BYTES:
        raise ValueError("without a unit; write 16GB, or name the unit in the column's head as 内存(GB)")
    return amount
