"""Signal families: which of the four a panel belongs to, and the signals that recording rules make for every source."""

from __future__ import annotations

from watchkeeper.app.catalogue.kinds import Family, Kind, KindPanel, Words, about_service
from watchkeeper.promql import metric_names

#: In the order in which pages show them.
FAMILIES: tuple[Family, ...] = ("infrastructure", "application", "business", "security")
#: What a histogram's or summary's samples are called.
ENDINGS = ("", "_bucket", "_count", "_sum")


def _panel(name: str, en: str, zh: str, unit: str, family: Family) -> KindPanel:
    title = Words.model_validate({"en": en, "zh-CN": zh})
    return KindPanel(title=title, query=f'{name}{{service="$service"}}', unit=unit, family=family)


#: The page of a service without a kind.
SIGNALS: dict[str, KindPanel] = {
    "cpu_usage": _panel("cpu_usage", "CPU", "CPU 使用率", "ratio", "infrastructure"),
    "memory_usage": _panel("memory_usage", "Memory", "内存使用率", "ratio", "infrastructure"),
    "disk_io": _panel("disk_io", "Disk", "磁盘读写", "bytes_per_second", "infrastructure"),
    "network_io": _panel("network_io", "Network", "网络流量", "bytes_per_second", "infrastructure"),
    "database_connections": _panel("database_connections", "Connections", "数据库连接数", "count", "infrastructure"),
    "cache_hit_rate": _panel("cache_hit_rate", "Cache hits", "缓存命中率", "ratio", "infrastructure"),
    "api_response_times": _panel("api_response_times", "Response time", "响应时间", "seconds", "application"),
    "error_rates": _panel("error_rates", "Errors", "错误率", "ratio", "application"),
}


def panels(kind: Kind | None) -> list[KindPanel]:
    """The charts of a service, each with its family, family by family."""
    rows = (
        [one.model_copy(update={"family": family_of(one, kind)}) for one in kind.panels] if kind else SIGNALS.values()
    )
    return sorted(rows, key=lambda one: FAMILIES.index(one.family or "infrastructure"))


def family_of(panel: KindPanel, kind: Kind) -> Family:
    """Its own, else that of the first metric it draws which the kind or the signals know, else the kind's."""
    if panel.family is not None:
        return panel.family
    known = {one.name + ending: one.family or kind.family for one in kind.metrics for ending in ENDINGS}
    known |= {name: one.family or kind.family for name, one in SIGNALS.items()}
    drawn = metric_names(about_service(panel.query, "a"))
    return next((known[name] for name in drawn if name in known), kind.family)
