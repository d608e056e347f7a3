"""A ``scrape_configs`` entry of Prometheus, and the targets it makes of what discovery found."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration, format_duration, parse_duration
from watchkeeper.errors import CollectError
from watchkeeper.relabel import Rule, Text, relabel_map

from .base import STRICT
from .scrape_discovery import DnsSd, FileSd, Group, HttpSd
from .scrape_kubernetes import KubernetesSd

#: Limits of Prometheus that are off are ours, which are on.
SAMPLES, BODY = 100_000, 64 << 20
_SIZES = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "B": 1}


def _size(value: Any) -> Any:
    """``15MB`` in bytes, as Prometheus counts it."""
    text = str(value).strip().upper()
    for unit, factor in _SIZES.items():
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit():
            return int(float(number) * factor)
    return value


def _listed(value: Any) -> Any:
    """One value of a parameter may stand without a list."""
    return [value] if isinstance(value, str | int | float) else value


@dataclass(kw_only=True, config=STRICT)
class StaticGroup:
    targets: list[str] = field(default_factory=list)
    labels: dict[str, Text] = field(default_factory=dict)


@dataclass(kw_only=True, config=STRICT)
class BasicAuth:
    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: str = ""  #: read whenever targets are looked up


@dataclass(kw_only=True, config=STRICT)
class Authorization:
    type: Literal["Bearer"] = "Bearer"
    credentials: SecretStr = SecretStr("")
    credentials_file: str = ""  #: read for every request


@dataclass(kw_only=True, config=STRICT)
class TlsConfig:
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False

    def __post_init__(self) -> None:
        if self.insecure_skip_verify:
            raise ValueError("insecure_skip_verify is not offered: name the server's authority as ca_file")


@dataclass(kw_only=True, config=STRICT)
class ScrapeConfig:
    """The keys of Prometheus that Watchkeeper takes; any other is refused by its name."""

    job_name: str = Field(min_length=1)
    scrape_interval: Duration | None = None
    scrape_timeout: Duration | None = None
    metrics_path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"
    params: dict[str, Annotated[list[Text], BeforeValidator(_listed)]] = field(default_factory=dict)
    honor_labels: bool = False
    honor_timestamps: bool = True
    sample_limit: int = Field(default=0, ge=0)
    label_limit: int = Field(default=0, ge=0)
    label_name_length_limit: int = Field(default=0, ge=0)
    label_value_length_limit: int = Field(default=0, ge=0)
    target_limit: int = Field(default=0, ge=0)
    body_size_limit: Annotated[int, BeforeValidator(_size)] = Field(default=0, ge=0)
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    bearer_token: SecretStr = SecretStr("")
    bearer_token_file: str = ""
    tls_config: TlsConfig | None = None
    relabel_configs: list[Rule] = field(default_factory=list)
    metric_relabel_configs: list[Rule] = field(default_factory=list)
    static_configs: list[StaticGroup] = field(default_factory=list)
    file_sd_configs: list[FileSd] = field(default_factory=list)
    dns_sd_configs: list[DnsSd] = field(default_factory=list)
    http_sd_configs: list[HttpSd] = field(default_factory=list)
    kubernetes_sd_configs: list[KubernetesSd] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.interval < self.timeout:
            raise ValueError("scrape_timeout is longer than scrape_interval")

    @property
    def interval(self) -> timedelta:
        return self.scrape_interval or timedelta(minutes=1)

    @property
    def timeout(self) -> timedelta:
        return self.scrape_timeout or min(timedelta(seconds=10), self.interval)

    def static_groups(self) -> list[Group]:
        """The targets that stand in the file."""
        return [Group(tuple(one.targets), dict(one.labels)) for one in self.static_configs]

    def discoverers(self) -> list[FileSd | DnsSd | HttpSd | KubernetesSd]:
        return [*self.file_sd_configs, *self.dns_sd_configs, *self.http_sd_configs, *self.kubernetes_sd_configs]


@dataclass(frozen=True, kw_only=True)
class ScrapeTarget:
    """One page to scrape: options of an ``openmetrics`` collector, and how often."""

    name: str
    interval: timedelta
    options: Mapping[str, Any]
    labels: Mapping[str, str]  #: of every series
    discovered: Mapping[str, str]  #: as discovery said it, before relabelling


def targets(config: ScrapeConfig, groups: Sequence[Group], base: Path) -> tuple[list[ScrapeTarget], list[str]]:
    """(targets, what is wrong with others). Two that come out alike are one, as in Prometheus."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], ScrapeTarget] = {}
    wrong: list[str] = []
    for group in groups:
        for address in group.targets:
            try:
                one = _target(config, {**group.labels, "__address__": address}, base)
            except (ValueError, CollectError) as error:
                wrong.append(f"{config.job_name}: target {address!r}: {error}")
                continue
            if one is not None:
                found.setdefault((str(one.options["url"]), tuple(sorted(one.labels.items()))), one)
    if config.target_limit and len(found) > config.target_limit:
        wrong.append(f"{config.job_name}: {len(found)} targets, target_limit is {config.target_limit}: none is scraped")
        return [], wrong
    return list(found.values()), wrong


def _target(config: ScrapeConfig, discovered: Mapping[str, str], base: Path) -> ScrapeTarget | None:
    """What becomes of one discovered set of labels; None when relabelling drops it."""
    defaults = {
        "job": config.job_name,
        "__scrape_interval__": format_duration(config.interval),
        "__scrape_timeout__": format_duration(config.timeout),
        "__metrics_path__": config.metrics_path,
        "__scheme__": config.scheme,
        **{f"__param_{name}": values[0] for name, values in config.params.items() if values},
    }
    before = {**defaults, **{name: value for name, value in discovered.items() if value}}
    after = relabel_map(before, config.relabel_configs)
    if after is None:
        return None
    address = after.get("__address__", "")
    if not address:
        raise ValueError("relabelling left no __address__")
    scheme = after.get("__scheme__", "")
    url = f"{scheme}://{_with_port(address, scheme)}{_path(after)}{_query(config, after)}"
    if scheme not in ("http", "https") or not urlsplit(url).hostname or "/" in address:
        raise ValueError(f"{scheme}://{address} is no address to scrape")
    labels = {name: value for name, value in after.items() if not name.startswith("__")}
    labels.setdefault("instance", address if _has_port(address) else _with_port(address, scheme))
    interval, timeout = (parse_duration(after[f"__scrape_{which}__"]) for which in ("interval", "timeout"))
    if not timedelta(0) < timeout <= interval:
        raise ValueError("its scrape_timeout is not between 0 and its scrape_interval")
    options = {"url": url, "timeout": timeout.total_seconds(), **_options(config), **_secrets(config, base)}
    if scheme == "https":
        options |= _tls(config, base)
    return ScrapeTarget(
        name=f"{config.job_name}/{labels['instance']}",
        interval=interval,
        options=options,
        labels=labels,
        discovered=before,
    )


def _path(labels: Mapping[str, str]) -> str:
    path = labels.get("__metrics_path__", "")
    return path if path.startswith("/") else f"/{path}"


def _query(config: ScrapeConfig, labels: Mapping[str, str]) -> str:
    params = {name: list(values) for name, values in config.params.items()}
    for name, value in labels.items():
        if name.startswith("__param_"):
            params.setdefault(name.removeprefix("__param_"), [value])[:1] = [value]
    return f"?{urlencode(params, doseq=True)}" if params else ""


def _has_port(address: str) -> bool:
    if address.count(":") > 1 and not address.startswith("["):
        return False  # IPv6 without brackets
    return urlsplit(f"//{address}").port is not None


def _with_port(address: str, scheme: str) -> str:
    if _has_port(address):
        return address
    host = f"[{address}]" if address.count(":") > 1 and not address.startswith("[") else address
    return f"{host}:{443 if scheme == 'https' else 80}"


def _options(config: ScrapeConfig) -> dict[str, Any]:
    limits = ("label_limit", "label_name_length_limit", "label_value_length_limit")
    return {
        "honor_labels": config.honor_labels,
        "honor_timestamps": config.honor_timestamps,
        "sample_limit": config.sample_limit or SAMPLES,
        "max_bytes": config.body_size_limit or BODY,
        "metric_relabel_configs": config.metric_relabel_configs,
        **{name: getattr(config, name) for name in limits if getattr(config, name)},
    }


def _tls(config: ScrapeConfig, base: Path) -> dict[str, str]:
    """Files of the server's authority and of our own certificate, where they are named."""
    said = config.tls_config or TlsConfig()
    named = {"ca_file": said.ca_file, "certificate": said.cert_file, "key": said.key_file}
    found = {option: str(base / path) for option, path in named.items() if path}
    return found | ({"server_name": said.server_name} if said.server_name else {})


def _secrets(config: ScrapeConfig, base: Path) -> dict[str, Any]:
    """How the request says who asks. Raises CollectError for a file that cannot be read."""
    if config.basic_auth is not None:
        said = config.basic_auth
        word = said.password.get_secret_value()
        if said.password_file:
            try:
                word = (base / said.password_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise CollectError(f"password_file {said.password_file} cannot be read", reason="token") from None
        code = base64.b64encode(f"{said.username}:{word}".encode()).decode()
        return {"headers": {"authorization": f"Basic {code}"}}
    bearer = config.authorization or Authorization(
        credentials=config.bearer_token, credentials_file=config.bearer_token_file
    )
    if bearer.credentials_file:
        return {"bearer_token_file": str(base / bearer.credentials_file)}
    word = bearer.credentials.get_secret_value()
    return {"headers": {"authorization": f"Bearer {word}"}} if word else {}
