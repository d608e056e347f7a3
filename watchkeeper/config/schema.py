"""``watchkeeper.yaml`` as strict models.

Sections that belong to a room (`scoring`, `forecasting`, `incidents`, `notify.channels`, `remediation`, ...) are
checked by that room's own options class when the engine is composed; here they are mappings.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from watchkeeper.clock import time_zones
from watchkeeper.config.access import Access
from watchkeeper.config.business import Business
from watchkeeper.config.catalogue import Catalogue
from watchkeeper.config.cost import Cost
from watchkeeper.config.events import Events
from watchkeeper.config.feedback import Feedback
from watchkeeper.config.logs import Logs
from watchkeeper.config.objectives import Objectives
from watchkeeper.config.plans import Plans
from watchkeeper.config.security import Security
from watchkeeper.config.types import Duration, Switch


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError(f"{name!r} is not a time zone; write one like Asia/Shanghai or UTC")
    return name


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("write an address and a port, for example 127.0.0.1:9700")
    return value


Zone = Annotated[str, AfterValidator(_zone)]
Listen = Annotated[str, AfterValidator(_listen)]
Language = Literal["zh-CN", "en"]


class Tls(Section):
    certificate: Path  #: PEM file, chain included
    key: Path  #: PEM file


class EngineTls(Tls):
    clients_ca: Path | None = None  #: PEM; remote write then needs a certificate signed by it, beside the token


class Engine(Section):
    listen: Listen = "127.0.0.1:9700"  #: address of the API
    tls: EngineTls | None = None  #: needed for any address that is not loopback


class Dashboard(Section):
    listen: Listen = "127.0.0.1:8050"  #: address of the pages
    tls: Tls | None = None  #: needed for any address that is not loopback
    public_url: str = ""  #: how people reach it; used in links of messages; empty: http://<listen>
    refresh: Duration = timedelta(seconds=5)  #: how often open pages ask for news


class Actuator(Section):
    socket: Path | None = None  #: where the actuator listens and the engine asks; none: below `data`
    allowed_users: list[str | int] = []  #: users beside its own whose engine may connect, by name or number


class ServerTls(Section):
    ca: Path | None = None  #: PEM file of who signs the server's certificate; none: the system's
    certificate: Path | None = None  #: PEM file shown to the server; with `key`
    key: Path | None = None  #: PEM file


class SampleServer(Section):
    """Where samples are kept when it is not this machine; without `url` the other keys mean nothing."""

    url: str = ""  #: Prometheus-compatible server, its query API below /api/v1; empty: samples are kept in `data`
    write_url: str = ""  #: where it takes remote write; empty: <url>/api/v1/write
    headers: dict[str, SecretStr] = {}  #: sent with every request, for example X-Scope-OrgID
    username: str = ""  #: basic authentication
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")  #: bearer token
    tls: ServerTls = ServerTls()
    timeout: Duration = timedelta(seconds=30)  #: of one request
    head: Duration = timedelta(hours=3)  #: newest samples that are kept here as well
    spool_bytes: int = Field(default=1 << 30, ge=1 << 20)  #: unsent samples kept on disk; then the oldest are dropped
    alone: Switch = False  #: nobody else writes to the server: recent questions are answered without asking it

    @model_validator(mode="after")
    def _one_way_in(self) -> SampleServer:
        for key in ("url", "write_url"):
            value = getattr(self, key)
            if value and not value.startswith(("http://", "https://")):
                raise ValueError(f"{key}: write an address that begins with http:// or https://")
        if self.token.get_secret_value() and self.username:
            raise ValueError("a server takes a token or a username, not both; remove one")
        if (self.tls.certificate is None) != (self.tls.key is None):
            raise ValueError("tls: certificate and key belong together; add the other")
        return self


class StateStore(Section):
    url: SecretStr = SecretStr("")  #: SQLAlchemy URL, for example postgresql+psycopg://...; empty: SQLite in `data`


class Store(Section):
    retention: Duration = timedelta(days=15)  #: age at which samples are dropped
    retention_bytes: int | None = None  #: size at which the oldest blocks are dropped; none: no limit
    retention_5m: Duration = timedelta(days=90)  #: age at which 5-minute aggregates are dropped
    retention_1h: Duration = timedelta(days=730)  #: age at which hourly aggregates are dropped
    samples: SampleServer = SampleServer()
    state: StateStore = StateStore()


class Source(BaseModel):
    """One thing to collect; further keys are the options of its kind."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    name: str = Field(pattern=r"^[\w.:-]{1,100}$")
    interval: Duration | None = None  #: default: collect.interval
    service: str = ""  #: service the samples belong to; becomes the label `service`
    labels: dict[str, str] = {}  #: labels added to every series
    agents: list[str] = []  #: names or locations of agents that run it in place of the engine; "*": all of them

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Without the options: passwords and tokens may be among them."""
        return [("kind", self.kind), ("name", self.name)]


class Collect(Section):
    interval: Duration = timedelta(seconds=15)  #: default interval of every source
    host: Switch = True  #: watch this machine
    host_interval: Duration = timedelta(seconds=5)
    own_logs: Switch = True  #: read the system's and our own log files
    scrape_config_files: list[Path] = []  #: Prometheus configurations whose scrape_configs are read as they stand
    sources: list[Source] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Collect:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources share the name {twice[0]!r}; names must differ")
        return self


def _patterns(match: dict[str, str]) -> dict[str, str]:
    for label, pattern in match.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{label}: {pattern!r} is no regular expression ({error})") from None
    return match


class Override(Section):
    """Another detector for some series."""

    #: label or `metric` -> regular expression of the whole value
    match: Annotated[dict[str, str], Field(min_length=1), AfterValidator(_patterns)]
    detector: str  #: kind of detector
    options: dict[str, Any] = {}  #: options of it


class Scoring(Section):
    enabled: Switch = True
    detector: str = "ensemble"  #: kind of detector
    options: dict[str, Any] = {}  #: options of the detector
    overrides: list[Override] = []  #: series that another detector watches; the first that fits
    learning: Duration = timedelta(hours=1)  #: a series has no alarm before it was seen for so long, and 40 samples
    series_limit: int = 20_000  #: series scored at most; the rest is counted as not scored
    groups: Switch = True  #: hosts, services and pools have a score of all their metrics together
    exclude: list[str] = [r"watchkeeper_.*"]  #: metric names (RE2) that are not scored


class Forecasting(Section):
    enabled: Switch = True
    method: str = "combined"  #: kind of forecaster
    options: dict[str, Any] = {}
    every: Duration = timedelta(hours=1)  #: how often forecasts are made anew
    step: Duration = timedelta(minutes=5)  #: grid on which history is read
    history: Duration = timedelta(days=14)
    horizon: Duration = timedelta(hours=24)


class Pool(Section):
    """One thing that can run out."""

    name: str
    resource: str  #: disk, memory, cpu, connections, queue ...
    query: str  #: PromQL of what is used
    limit: float | None = None  #: what there is, in the same unit
    limit_query: str = ""  #: or PromQL of it
    unit: str = "ratio"
    lead_time: Duration = timedelta(days=30)  #: how long buying more takes


class Capacity(Section):
    enabled: Switch = True
    every: Duration = timedelta(hours=1)  #: how often rows are made anew
    host_pools: Switch = True  #: pools of this machine: CPU, memory and every file system
    pools: list[Pool] = []
    report: str = "mon 08:00"  #: day and time of the weekly report, in `time_zone`
    report_channels: list[str] = []  #: channels it goes to; e-mail gets it attached, robots get a link


class RemoteWrite(Section):
    """One server that gets every sample too."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")  #: names its queue; another name begins anew
    url: str = Field(
        pattern=r"^https?://[^\s]+$"
    )  #: where it takes remote write, for example https://host/api/v1/write
    headers: dict[str, SecretStr] = {}  #: sent with every request, for example X-Scope-OrgID
    token: SecretStr = SecretStr("")  #: bearer token; or token_file
    token_file: Path | None = None  #: file with it, read anew for every request
    username: str = ""  #: for basic authentication
    password: SecretStr = SecretStr("")  #: or password_file
    ca: str = Field(default="", repr=False)  #: certificates its own is checked by, PEM; or ca_file
    certificate: Path | None = None  #: our own, PEM, where it asks for one
    key: Path | None = None  #: of our own certificate, PEM
    external_labels: dict[str, str] = {}  #: added to series that have not got them
    write_relabel_configs: list[dict[str, Any]] = []  #: Prometheus's, applied before sending
    batch_samples: int = Field(default=5000, ge=1, le=100_000)  #: samples of one request at most
    queue_bytes: int = Field(default=512 << 20, ge=1 << 20, le=768 << 20)  #: log kept for it; beyond it the oldest go
    timeout: Duration = timedelta(seconds=30)  #: for one request


class Rules(Section):
    directories: list[Path] = [Path("rules")]  #: folders with *.yaml rule files, relative to this file
    packs: list[str] = ["signals", "host", "default", "security", "business", "slo", "cost", "self"]  #: shipped packs
    interval: Duration = timedelta(seconds=15)
    external_labels: dict[str, str] = {}


class Heartbeat(Section):
    url: SecretStr  #: asked by GET while all is well; a dead-man switch outside
    every: Duration = timedelta(minutes=1)


class Notify(Section):
    channels: list[dict[str, Any]] = Field(default=[], repr=False)  #: name, kind and the options of the kind
    routes: list[dict[str, Any]] = []  #: first match wins; without routes everything goes to every channel
    digest_at: time = time(8, 30)  #: daily "I am alive", in `time_zone`
    digest_channels: list[str] = []  #: empty: every channel
    heartbeat: Heartbeat | None = None


class AuditHeads(Section):
    """Second places that keep the newest hash of the audit; without any a cut tail cannot show."""

    every: Duration = timedelta(minutes=1)
    file: Path | None = None  #: a line is appended: best on another host's file system
    syslog: str = Field(default="", pattern=r"^([A-Za-z0-9_.\[\]-]+(:[0-9]{1,5})?)?$")  #: host or host:port, by UDP
    url: SecretStr = SecretStr("")  #: gets it by POST as JSON: at, row, hash


class Audit(Section):
    heads: AuditHeads = AuditHeads()


class Scale(Section):
    workers: int = 1  #: processes for fits, started when there is work and stopped when idle
    idle: Duration = timedelta(seconds=20)


class Otlp(Section):
    """Metrics that OpenTelemetry exporters send; the words of Prometheus's own ``otlp:`` section."""

    promote_resource_attributes: list[str] = []  #: attributes of resources that become labels of every series
    promote_scope_metadata: bool = False  #: name, version and attributes of the scope become labels `otel_scope_*`
    keep_identifying_resource_attributes: bool = False  #: service.name and its kin stay labels of target_info too


class Agent(Section):
    """For `watchkeeper agent` alone; an engine takes no notice."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9_.:-]{0,100}$")  #: becomes the label `agent`; an agent needs one
    location: str = ""  #: becomes the label `probe_location`; empty: the name
    retention: Duration = timedelta(hours=6)  #: age at which samples that were sent are dropped
    queue_bytes: int = Field(default=512 << 20, ge=16 << 20)  #: log lines that wait for the engine at most
    accept: list[str] = []  #: kinds of sources that the engine may start here; empty: none, and it is not asked


class Config(Section):
    """The whole file."""

    data: Path | None = None  #: where data lives; default: $XDG_STATE_HOME/watchkeeper
    language: Language = "zh-CN"  #: language of messages and reports
    time_zone: Zone = "Asia/Shanghai"  #: zone of reports, digests and working hours
    environment: str = ""  #: DEV, TEST, STAGING, PROD; becomes the label `environment`
    discover: Switch = True  #: look for exporters and servers on the usual local ports
    engine: Engine = Engine()
    access: Access = Access()
    dashboard: Dashboard = Dashboard()
    actuator: Actuator = Actuator()
    store: Store = Store()
    collect: Collect = Collect()
    logs: Logs = Logs()
    security: Security = Security()
    otlp: Otlp = Otlp()
    scoring: Scoring = Scoring()
    forecasting: Forecasting = Forecasting()
    capacity: Capacity = Capacity()
    business: Business = Business()
    objectives: Objectives = Objectives()
    catalogue: Catalogue = Catalogue()
    cost: Cost = Cost()
    events: Events = Events()
    feedback: Feedback = Feedback()
    rules: Rules = Rules()
    severities: dict[str, Literal["P0", "P1", "P2", "P3"]] = {}  #: severity label of a rule -> level
    incidents: dict[str, Any] = {}
    notify: Notify = Notify()
    remediation: dict[str, Any] = {}
    plans: Plans = Plans()
    audit: Audit = Audit()
    scale: Scale = Scale()
    remote_write: list[RemoteWrite] = []
    agent: Agent = Agent()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
