"""A CSV as asset lists are exported: where its head is, which column says what, and its cells row by row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.bill_text import known
from watchkeeper.config.catalogue import FIELDS
from watchkeeper.environments import plain
from watchkeeper.errors import ConfigError

#: Titles and empty lines that may stand above the head.
ABOVE = 30
DELIMITERS = (",", ";", "\t", "|")
#: What columns are called where the configuration does not say; the first that is there counts.
CALLED = {
    "name": ("name", "service", "服务名称", "服务名", "服务", "应用名称", "应用名", "应用", "系统名称", "主机名称",
             "主机名", "主机", "资产名称", "实例名称", "实例名", "名称", "hostname", "host", "instance name", "server",
             "server name"),
    "kind": ("kind", "type", "服务类型", "组件类型", "组件", "软件", "类型", "资产类型", "service type"),
    "title": ("title", "显示名称", "中文名称", "中文名", "用途", "description", "描述", "说明"),
    "tier": ("tier", "服务等级", "重要等级", "重要性", "等级", "级别"),
    "owner": ("owner", "责任人", "负责人", "运维负责人", "管理员", "maintainer"),
    "environment": ("environment", "env", "所属环境", "环境"),
    "region": ("region", "地域", "区域", "机房", "可用区", "idc", "zone"),
    "pool": ("pool", "资源池", "集群", "cluster"),
    "addresses": ("addresses", "address", "ip", "ip地址", "ip address", "业务ip", "内网ip", "私网ip", "管理ip", "地址"),
    "port": ("port", "服务端口", "端口"),
    "depends_on": ("depends_on", "depends on", "dependencies", "依赖服务", "依赖"),
    "replicas": ("replicas", "instances", "副本数", "实例数"),
    "contacts": ("contacts", "contact", "联系方式", "联系电话", "手机", "电话", "phone"),
    "cpu": ("cpu", "cpu核数", "核数", "核心数", "vcpu", "vcpus", "cores"),
    "memory": ("memory", "内存", "内存大小", "内存容量", "mem", "ram"),
    "disk": ("disk", "磁盘", "硬盘", "磁盘容量", "磁盘大小", "存储"),
}  # fmt: skip
#: ``内存(GB)``: what stands in brackets behind a column's name.
BRACKETS = re.compile(r"[(（\[【]([^)）\]】]*)[)）\]】]")


@dataclass(frozen=True, slots=True)
class Column:
    """One column that says something."""

    title: str  #: as it stands in the head
    index: int
    unit: str  #: what its head says in brackets, such as GB; empty: nothing


@dataclass(frozen=True, slots=True)
class Table:
    columns: Mapping[str, Column]  #: by what they say, of ``FIELDS``
    rows: tuple[tuple[int, list[str]], ...]  #: line, cells

    def cell(self, row: list[str], field: str) -> str:
        """What a row says; empty where it says nothing."""
        column = self.columns.get(field)
        return known(row[column.index]) if column is not None and column.index < len(row) else ""


def table(path: Path, text: str, wanted: Mapping[str, str]) -> Table:
    """The rows below the head. ``wanted``: field -> name of its column; empty: by the usual names.

    Raises ConfigError with file and line.
    """
    first: list[str] = []
    for delimiter in sorted(DELIMITERS, key=text[:10_000].count, reverse=True):
        rows = list(_rows(path, text, delimiter))
        first = first or (rows[0][1] if rows else [])
        for place, (_, cells) in enumerate(rows[:ABOVE]):
            columns = _columns(cells, wanted)
            if columns is not None and (place == 0 or len(columns) > 1):
                return Table(columns, tuple(rows[place + 1 :]))
    titles = {plain(cell) for cell in first}
    missing = sorted(one for one in wanted.values() if plain(one) not in titles)
    column = missing[0] if missing else "name"
    head = ", ".join(cell.strip() for cell in first[:30]) or "none"
    raise ConfigError(f"has no column {column!r}; it has {head}", file=str(path), line=1)


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(str(error), file=str(path), line=reader.line_num) from None


def _columns(cells: list[str], wanted: Mapping[str, str]) -> dict[str, Column] | None:
    """Where each field stands; None when this is no head."""
    heads: dict[str, Column] = {}
    for index, cell in enumerate(cells):
        unit = next(iter(BRACKETS.findall(cell)), "").strip()
        column = Column(" ".join(cell.split()), index, unit)
        for name in (plain(cell), plain(BRACKETS.sub("", cell))):
            heads.setdefault(name, column)
    names = {field: (title,) for field, title in wanted.items()} if wanted else CALLED
    found = {
        field: next((heads[plain(name)] for name in names[field] if plain(name) in heads), None)
        for field in FIELDS
        if field in names
    }
    if found.get("name") is None or (wanted and None in found.values()):
        return None
    return {field: column for field, column in found.items() if column is not None}
