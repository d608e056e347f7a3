"""Every shipped service kind is whole: queries that parse, words in both languages, and each metric seen on a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import BUILTIN
from collectors.exposition import Exposition
from rules import load, pack_paths
from rules.book import RecordRule
from watchkeeper.app.catalogue.describe import markdown
from watchkeeper.app.catalogue.kinds import Kind, about_service, shipped
from watchkeeper.app.catalogue.signals import ENDINGS, panels
from watchkeeper.model import metric_name
from watchkeeper.promql import metric_names, parse

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "tests/data/pages"
KINDS = shipped()
#: Collectors of pages, whose kinds have a recorded page. Others are tried on running servers by tests of their own.
READERS = {"openmetrics", "prometheus_api"}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def queries(kind: Kind) -> Iterator[str]:
    yield from kind.golden.values()
    yield from (one.query for one in kind.panels)
    yield from (text for one in kind.objectives for text in (one.query, one.good, one.total) if text)


def seen_on(page: Path) -> set[str]:
    """Names of the samples that the collector takes from a recorded page; nothing on it is refused."""
    found = Exposition({"job": "a", "instance": "b"}, sample_limit=10_000).read(page.read_bytes(), openmetrics=False)
    assert found.rejected == {}
    return {metric_name(series) for series in found.layout.series}


def test_there_is_what_the_starter_pack_promises() -> None:
    metrics = {one.name for kind in KINDS.values() for one in kind.metrics}
    packs = sorted({pack for kind in KINDS.values() for pack in kind.packs})
    alerts = {rule.name for _, rule in load(pack_paths(packs)).alert_rules()}
    pages = [kind for kind in KINDS.values() if kind.panels]
    assert len(KINDS) >= 25
    assert len(metrics) >= 100
    assert len(alerts) >= 20
    assert len(pages) >= 10


def test_a_kind_names_collectors_and_packs_that_exist(kind: Kind) -> None:
    assert {source.kind for source in kind.sources} <= set(BUILTIN)
    assert all(path.is_file() for path in pack_paths(kind.packs))


def test_what_a_kind_hands_on_is_an_option_of_its_collector(kind: Kind) -> None:
    for one in kind.sources:
        known = set(BUILTIN[one.kind].__dataclass_fields__)
        wanted = {name if name in known else name.removesuffix("_file") for name in (*one.takes, *one.options)}
        assert wanted <= known, (one.kind, wanted - known)


def test_every_query_of_a_kind_parses_and_asks_about_the_service_alone(kind: Kind) -> None:
    for query in queries(kind):
        parse(about_service(query, 'shop "a"'))
        assert "$service" in query


def test_a_kind_has_golden_signals_and_a_page(kind: Kind) -> None:
    assert {"traffic", "errors", "saturation"} <= set(kind.golden)
    assert kind.panels
    assert kind.objectives


@pytest.mark.parametrize(
    ("name", "signals"),
    {
        "mysql": {"database_connections", "cache_hit_rate", "api_response_times", "error_rates", "network_io"},
        "postgresql": {"database_connections", "cache_hit_rate", "api_response_times", "error_rates"},
        "redis": {"database_connections", "cache_hit_rate", "api_response_times", "error_rates", "network_io",
                  "memory_usage", "cpu_usage"},
        "python_api": {"api_response_times", "error_rates", "cpu_usage", "memory_usage"},
        "haproxy": {"api_response_times", "error_rates", "network_io"},
        "nginx": {"error_rates"},
        "kafka": {"error_rates", "network_io"},
        "ai_agent": {"api_response_times", "error_rates"},
        "llm_gateway": {"api_response_times", "error_rates"},
        "vllm": {"api_response_times", "error_rates", "cache_hit_rate"},
        "containers": {"cpu_usage", "memory_usage", "disk_io", "network_io"},
        "kubernetes": {"cpu_usage", "memory_usage"},
        "jvm": {"cpu_usage", "memory_usage", "api_response_times", "error_rates"},
        "linux_host": {"cpu_usage", "memory_usage", "disk_io", "network_io"},
    }.items(),
)  # fmt: skip
def test_the_signals_are_made_of_what_a_kind_brings(name: str, signals: set[str]) -> None:
    kind = KINDS[name]
    brought = {one.name + ending for one in kind.metrics for ending in ENDINGS} | {"probe_success"}
    saturated = {"process_cpu_seconds_total", "process_resident_memory_bytes"} & brought
    brought |= {"service_saturation_ratio", "watchkeeper_service_limit"} if saturated else set()
    rules = load(pack_paths(["signals", "catalogue", *kind.packs])).rules()
    recorded = [rule for _, rule in rules if isinstance(rule, RecordRule)]
    made = {rule.name for rule in recorded if set(metric_names(rule.expr)) & brought}
    assert signals <= made
    assert all(rule.labels["family"] for rule in recorded if rule.name in signals)


@pytest.mark.parametrize("name", ["mysql", "mariadb", "postgresql", "redis", "redis_cluster", "memcached"])
def test_databases_and_caches_promise_what_the_data_layer_must_keep(name: str) -> None:
    promised = {one.name: one for one in KINDS[name].objectives}
    up = promised.get("up") or promised["state"]
    assert str(up.target) == "99.999"
    assert promised["connections"].at_most == 0.9
    limits = {
        one: (promised[one].at_most, promised[one].at_least)
        for one in ("queries", "retrieval", "hits")
        if one in promised
    }
    wanted = {"queries": (0.01, None), "retrieval": (0.05, None), "hits": (None, 0.95)}
    assert limits
    assert limits.items() <= wanted.items()


def test_a_panel_belongs_to_the_family_of_what_it_draws() -> None:
    found = {one.title.en: one.family for one in panels(KINDS["python_api"])}
    assert found["Requests"] == found["Errors"] == found["Response time, p95"] == "application"
    assert found["CPU"] == found["Memory"] == "infrastructure"


def test_a_kind_speaks_both_languages(kind: Kind) -> None:
    words = [kind.title, kind.about, *(one.title for one in kind.panels), *(one.help for one in kind.metrics)]
    for text in words:
        assert text.en.isascii()
        assert text.zh
    for help_ in (one.help for one in kind.metrics):
        assert re.search(r"[一-鿿]", help_.zh), help_.en


def test_every_metric_of_a_kind_is_seen_with_a_sample(kind: Kind) -> None:
    kinds = {source.kind for source in kind.sources}
    native = kinds - READERS - {"http_probe"} if kinds & READERS else kinds
    if native:
        assert all((ROOT / f"tests/unit/collectors/test_{name}.py").is_file() for name in native)
        return
    seen = seen_on(PAGES / f"{kind.kind}.txt")
    assert [one.name for one in kind.metrics if not {one.name + ending for ending in ENDINGS} & seen] == []


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.txt")), ids=lambda path: path.stem)
def test_panels_and_golden_signals_ask_for_what_the_page_brings(page: Path) -> None:
    kind = KINDS[page.stem]
    rules = load(pack_paths(["signals", "catalogue", *kind.packs])).rules()
    made = {rule.name for _, rule in rules if isinstance(rule, RecordRule)}
    asked = {name for query in queries(kind) for name in metric_names(about_service(query, "a"))}
    older = {"vllm:gpu_cache_usage_perc"}  # what vLLM called vllm:kv_cache_usage_perc
    assert asked <= seen_on(page) | made | older | {"up", "http_requests_total"}


#: What alerts of a kind's packs ask for and no page of the kinds that share them has.
ELSEWHERE = {
    "vllm": {"vllm:gpu_cache_usage_perc"},
    # of node_exporter's page, which is cut to the kind's metrics; test_servers reads all of it from a running one
    "linux_host": {
        "node_filesystem_files", "node_filesystem_readonly", "node_network_receive_packets_total",
        "node_network_transmit_packets_total", "node_time_seconds", "node_filefd_maximum", "node_nf_conntrack_entries",
        "node_nf_conntrack_entries_limit",
    },
}  # fmt: skip
#: Packs that speak of every service.
EVERYBODY = {"default", "probes"}


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.txt")), ids=lambda path: path.stem)
def test_alerts_of_a_kind_ask_for_what_its_page_brings(page: Path) -> None:
    kind = KINDS[page.stem]
    packs = {one for one in kind.packs if one not in EVERYBODY}
    own = [rule for _, rule in load(pack_paths(sorted(packs))).rules()]
    pages = [one for one in PAGES.glob("*.txt") if packs & set(KINDS[one.stem].packs)]  # kinds that share a pack
    made = {rule.name for rule in own if isinstance(rule, RecordRule)}
    made |= {"cpu_usage", "memory_usage", "error_rates", "api_response_times", "up"}
    asked = {name for rule in own for name in metric_names(rule.expr)}
    asked = {name for name in asked if not name.startswith("watchkeeper_")}
    seen = seen_on(page).union(*map(seen_on, pages))
    assert asked - seen - made - ELSEWHERE.get(page.stem, set()) == set()


def test_each_page_says_where_its_form_comes_from() -> None:
    for page in sorted(PAGES.glob("*.txt")):
        assert page.read_text(encoding="utf-8").startswith(("# Recorded from ", "# Written after ")), page.name
        assert page.stem in KINDS


@pytest.mark.parametrize("pack", sorted({pack for kind in KINDS.values() for pack in kind.packs}))
def test_every_alert_of_a_kind_speaks_both_languages_and_has_its_runbook(pack: str) -> None:
    index = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    for _, rule in load(pack_paths([pack])).alert_rules():
        for key in ("summary", "description", "action"):
            assert re.search(r"[一-鿿]", rule.annotations[key]), rule.name
            assert rule.annotations[f"{key}_en"].isascii(), rule.name
        text = (ROOT / rule.annotations["runbook_url"]).read_text(encoding="utf-8")
        assert rule.name in text
        assert {"## 处理", "## What to do"} <= set(text.splitlines())
        assert f"| [{rule.name}]({rule.name}.md) |" in index


def test_the_page_of_kinds_is_as_the_command_writes_it() -> None:
    """Otherwise: watchkeeper services kinds --markdown > docs/kinds.md."""
    assert (ROOT / "docs/kinds.md").read_text(encoding="utf-8") == markdown(KINDS)


#: Kinds that tests of their own read on running servers, and hold against what the kind promises.
RUNNING = {
    *("dns_server", "http_service", "job_queue", "mariadb", "memcached", "mysql", "nats", "network_device", "nginx"),
    *("postgresql", "redis", "redis_cluster", "redis_sentinel", "tcp_service", "website"),
}


def recorded(kind: Kind) -> set[str]:
    """Metrics of the kind with a sample on a page that a real server gave; none where its page is written by hand."""
    page = PAGES / f"{kind.kind}.txt"
    if not page.is_file() or not page.read_text(encoding="utf-8").startswith("# Recorded from "):
        return set()
    seen = seen_on(page)
    return {one.name for one in kind.metrics if {one.name + ending for ending in ENDINGS} & seen}


def test_twenty_five_services_and_a_hundred_metrics_were_seen_on_real_servers() -> None:
    """Beside the kinds whose pages are written after documentation, which docs say."""
    real = {name: recorded(kind) for name, kind in KINDS.items()}
    whole = {name for name, metrics in real.items() if metrics} | RUNNING
    for name in whole:
        kind = KINDS[name]
        assert kind.sources, name
        assert kind.panels, name
        assert [rule for _, rule in load(pack_paths(kind.packs)).alert_rules()], name
    assert len(whole) >= 25, sorted(whole)
    assert len(set[str]().union(*real.values())) >= 100
