"""Service kinds as a page of the documentation, in both languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from watchkeeper.app.catalogue.kinds import Family, Kind

#: Sections of the page, in this order.
FAMILIES: tuple[tuple[Family, str], ...] = (
    ("infrastructure", "Infrastructure · 基础设施"),
    ("application", "Application · 应用"),
    ("business", "Business · 业务"),
    ("security", "Security · 安全"),
)
HEAD = """# Service kinds · 服务类型

Written by `watchkeeper services kinds --markdown`; do not edit. 由该命令生成，请勿手工修改。

What a kind brings, and how to write one of your own, is told in [catalogue.md](catalogue.md)."""


def options(kind: Kind) -> list[str]:
    """Options that a service of the kind may give, sorted."""
    return sorted({option for one in kind.sources for option in (*one.takes, one.when)} - {""})


def markdown(kinds: Mapping[str, Kind]) -> str:
    """The whole page, a section for each signal family that has kinds."""
    parts = [HEAD]
    for family, title in FAMILIES:
        members = [kind for _, kind in sorted(kinds.items()) if kind.family == family]
        if members:
            parts += [f"## {title}", "\n".join(_table(members)), *(_one(kind) for kind in members)]
    return "\n\n".join(parts) + "\n"


def _table(kinds: list[Kind]) -> Iterator[str]:
    yield "| kind | what it is | 说明 | collectors | packs | metrics | panels |"
    yield "|---|---|---|---|---|---|---|"
    for kind in kinds:
        collectors = ", ".join(dict.fromkeys(one.kind for one in kind.sources))
        yield (
            f"| [{kind.kind}](#{kind.kind}) | {kind.title.en} | {kind.title.zh} | {collectors} "
            f"| {', '.join(kind.packs)} | {len(kind.metrics)} | {len(kind.panels)} |"
        )


def _one(kind: Kind) -> str:
    rows = [f"| `{one.name}` | {one.type} | {one.unit} | {one.help.en} | {one.help.zh} |" for one in kind.metrics]
    head = ["| metric | type | unit | meaning | 含义 |", "|---|---|---|---|---|"] if rows else []
    taken = ", ".join(f"`{name}`" for name in options(kind)) or "none"
    start = [f"### {kind.kind}", "", f"{kind.about.en} {kind.about.zh}", "", f"Options · 选项: {taken}"]
    return "\n".join([*start, *([""] if rows else []), *head, *rows])
