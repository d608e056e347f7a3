"""``watchkeeper init``: a checked configuration from a few answers, every action in dry-run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
import yaml as pyyaml

from watchkeeper.config import Loaded, check
from watchkeeper.config import yaml as house_yaml
from watchkeeper.errors import ConfigError
from watchkeeper.registry import Registry

HEADER = """\
# Written by `watchkeeper init`. Check it with `watchkeeper check-config`, start it with `watchkeeper up`.
# Secrets stay outside: ${NAME} is read from the environment, `*_file` keys read a file.
# Every remediation rule is in dry_run until its owner changes its `mode`.
"""


#: node_exporter's usual port.
NODE_EXPORTER = 9100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    hosts: list[str] = field(default_factory=list)  #: names or addresses where node_exporter runs; a port if not 9100
    exporters: list[str] = field(default_factory=list)
    prometheus: str = ""
    databases: list[str] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    dingtalk: str = ""  #: name of the environment variable that holds the robot's URL
    wecom: str = ""
    language: str = ""


def ask_for(known: Answers) -> Answers:
    """Ask at the terminal for what no flag said. Empty answers are fine."""

    def many(question: str) -> list[str]:
        return [part.strip() for part in str(typer.prompt(question, default="")).split(",") if part.strip()]

    return replace(
        known,
        language=known.language or str(typer.prompt("Language of messages and reports (zh-CN, en)", default="zh-CN")),
        hosts=known.hosts or many("Other hosts: names or addresses with a node_exporter, comma separated"),
        exporters=known.exporters or many("Exporters: /metrics URLs, comma separated"),
        prometheus=known.prometheus or str(typer.prompt("Existing Prometheus-compatible server: URL", default="")),
        databases=known.databases or many("Databases: SQLAlchemy URLs, comma separated (password as ${NAME})"),
        probes=known.probes or many("Web addresses to probe, comma separated"),
        dingtalk=known.dingtalk or str(typer.prompt("DingTalk robot: environment variable with its URL", default="")),
        wecom=known.wecom or str(typer.prompt("WeCom robot: environment variable with its URL", default="")),
    )


def build(answers: Answers) -> dict[str, Any]:
    """The configuration as plain data."""
    found: dict[str, Any] = {"language": answers.language or "zh-CN"}
    sources = [*_scraped(answers), *_prometheus(answers), *_databases(answers), *_probes(answers)]
    if sources:
        found["collect"] = {"sources": sources}
    channels = [
        {"name": kind, "kind": kind, "url": f"${{{name}}}", "keyword": "Watchkeeper"}
        for kind, name in (("dingtalk", answers.dingtalk), ("wecom", answers.wecom))
        if name
    ]
    if channels:
        found["notify"] = {"channels": channels}
    return found


def write(answers: Answers, output: Path, *, force: bool) -> str:
    """Write the file after checking it; returns what to say. Raises ConfigError."""
    if output.exists() and not force:
        raise ConfigError("exists already; use --force to overwrite it, or --output for another name", file=str(output))
    text = HEADER + pyyaml.safe_dump(build(answers), sort_keys=False, allow_unicode=True)
    variables = {name: "https://set-me.invalid" for name in (answers.dingtalk, answers.wecom) if name}
    document = house_yaml.parse(text.encode(), str(output), environment=_Any(variables))
    loaded = check(document, output.resolve().parent)
    _check_sources(loaded)
    output.write_text(text, encoding="utf-8")
    named = "" if output == Path("watchkeeper.yaml") else f" --config {output}"
    return f"wrote {output}; every action is in dry-run. Next: watchkeeper check-config{named} && watchkeeper up{named}"


def _check_sources(loaded: Loaded) -> None:
    """A wrong address is refused now, not when the engine starts."""
    from collectors import BUILTIN
    from watchkeeper.app.sources import build_source

    registry = Registry("collectors", BUILTIN)
    for index, row in enumerate(loaded.config.collect.sources):
        place = ("collect", "sources", index)
        loaded.part(place, lambda row=row: build_source(row, loaded.config, registry))


class _Any(dict[str, str]):
    """Variables need not be set while the file is written."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return "set-me"


def _name(url: str, taken: set[str], prefix: str = "") -> str:
    parts = urlsplit(url)
    base = f"{prefix}{parts.hostname or 'source'}" + (f"-{parts.port}" if parts.port else "")
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def _scraped(answers: Answers) -> list[dict[str, Any]]:
    taken: set[str] = set()
    urls = [*(_node_exporter(host) for host in answers.hosts), *answers.exporters]
    return [{"kind": "openmetrics", "name": _name(url, taken), "url": url} for url in urls]


def _node_exporter(host: str) -> str:
    """Where the node_exporter of a host serves its page: on port 9100 unless the answer names another."""
    bare = host.strip("[]")
    if bare.count(":") > 1:  # an IPv6 address; with a port it stands in brackets
        return f"http://{host}/metrics" if "]:" in host else f"http://[{bare}]:{NODE_EXPORTER}/metrics"
    return f"http://{host}/metrics" if ":" in host else f"http://{host}:{NODE_EXPORTER}/metrics"


def _prometheus(answers: Answers) -> list[dict[str, Any]]:
    if not answers.prometheus:
        return []
    queries = {"prometheus_targets_up": "sum by (job) (up)"}
    return [{"kind": "prometheus_api", "name": "prometheus", "url": answers.prometheus, "queries": queries}]


def _databases(answers: Answers) -> list[dict[str, Any]]:
    taken: set[str] = set()
    for url in answers.databases:
        if (password := urlsplit(url).password) and "${" not in password:
            remedy = "write it as ${NAME} and set that variable"
            raise ConfigError(f"the password of a database must not stand in the file; {remedy}", key="database")
    query = {"name": "database_answers", "sql": "SELECT 1 AS value", "values": ["value"]}
    return [
        {"kind": "sql_query", "name": _name(url, taken, "db-"), "url": url, "queries": [query]}
        for url in answers.databases
    ]


def _probes(answers: Answers) -> list[dict[str, Any]]:
    taken: set[str] = set()
    return [
        {"kind": "http_probe", "name": _name(url, taken, "probe-"), "steps": [{"name": "open", "url": url}]}
        for url in answers.probes
    ]
