"""``events:`` who tells what happens, how often backups and drills are due, and when changes are allowed."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from watchkeeper.config.types import Duration
from watchkeeper.environments import environment_of

Preset = Literal["watchkeeper", "github", "gitlab", "gitea", "gitee", "jenkins", "argocd", "alertmanager"]


#: Words for environments, each also as events bear it: `production` is PROD.
Environments = Annotated[
    list[str], AfterValidator(lambda words: list(dict.fromkeys([*words, *map(environment_of, words)])))
]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(Section):
    """One sender, told ``POST <engine>/api/wk/webhooks/<name>``."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]  #: last part of its address
    preset: Preset = "watchkeeper"  #: whose payloads and signatures these are
    secret: SecretStr  #: shared with the sender, 16 characters at least; or secret_file
    services: dict[str, str] = {}  #: its word, such as owner/repository -> service; empty: the word after the last /
    environments: dict[str, str] = {}  #: its word -> environment, for example production: PROD
    environment: Annotated[str, AfterValidator(environment_of)] = ""  #: of deliveries that name none

    @model_validator(mode="after")
    def _guarded(self) -> Webhook:
        if len(self.secret.get_secret_value()) < 16:
            raise ValueError("secret: write 16 characters at least, for example of `openssl rand -hex 32`")
        return self


class Target(Section):
    """What is promised of backups, drills and patches. The first that fits a service counts."""

    services: list[str] = []  #: names; empty: any of `tiers`
    tiers: list[str] = []  #: of the catalogue; empty: any
    rpo: Duration | None = None  #: the newest good backup is no older
    rto: Duration | None = None  #: a restore drill takes no longer
    drill_every: Duration | None = None  #: the newest good restore drill is no older
    patch_every: Duration | None = None  #: the newest good patch is no older

    @model_validator(mode="after")
    def _says_something(self) -> Target:
        if not any((self.rpo, self.rto, self.drill_every, self.patch_every)):
            raise ValueError("a target promises something: write rpo, rto, drill_every or patch_every")
        return self

    def fits(self, service: str, tier: str) -> bool:
        return (not self.services or service in self.services) and (not self.tiers or tier in self.tiers)


class Window(Section):
    """When changes are allowed. Where no window fits a service and environment, they always are."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []  #: on which it opens; empty: every day
    start: time  #: in `time_zone`
    end: time  #: in `time_zone`; before `start`: on the next day
    services: list[str] = []  #: for these; empty: for all
    environments: Environments = []  #: for these; empty: for all


class Check(Section):
    """One measurement that a release may not make worse."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
    query: str  #: PromQL; $service and $version are the release's
    baseline: str = ""  #: PromQL of what still runs beside it, at the same time; empty: `query` before the release
    worse: Literal["higher", "lower"] = "higher"  #: the direction that is worse
    worse_by: Annotated[float, Field(ge=0)] = 0.3  #: share of the value before that is still allowed on top
    least: Annotated[float, Field(ge=0)] = 0.0  #: smaller differences, in the measurement's unit, never count
    at_most: float | None = None  #: never more, whatever was before; with worse: higher
    at_least: float | None = None  #: never less, whatever was before; with worse: lower
    services: list[str] = []  #: for these; empty: for all

    @model_validator(mode="after")
    def _bound_fits(self) -> Check:
        if (self.at_most is not None and self.worse == "lower") or (
            self.at_least is not None and self.worse == "higher"
        ):
            raise ValueError("at_most goes with worse: higher, at_least with worse: lower")
        return self


class Gate(Section):
    """A release is judged by its metrics before and after it."""

    before: Duration = timedelta(minutes=30)  #: compared with this long before it began
    settle: Duration = timedelta(minutes=5)  #: not looked at after its end: rates still see the time before
    after: Duration = timedelta(minutes=10)  #: the verdict is final this long after its end
    checks: list[Check] = []  #: empty: latency, errors and saturation of the service's kind

    @model_validator(mode="after")
    def _time_is_left(self) -> Gate:
        if self.after <= self.settle:
            raise ValueError("after must be longer than settle: between them lies what is judged")
        return self


class Events(Section):
    every: Duration = timedelta(seconds=30)  #: how often ages and marks are published
    mark: Duration = timedelta(minutes=5)  #: how long a moment stays marked as a series
    blame: Duration = timedelta(hours=1)  #: an incident this soon after a change names it
    production: Environments = ["PROD", "production", "prod", ""]  #: environments whose deploys the DORA figures count
    deploy_limit: Duration = timedelta(seconds=600)  #: a deploy takes no longer
    stage_limit: Duration = timedelta(seconds=300)  #: a stage of one takes no longer
    soak: Duration = timedelta(seconds=300)  #: a deploy is watched this long; an incident meanwhile: roll it back
    gate: Gate = Gate()
    targets: list[Target] = []
    windows: list[Window] = []
    webhooks: list[Webhook] = []

    @property
    def used(self) -> bool:
        """Somebody wrote what is expected: the pack ``changes`` is loaded."""
        return bool(self.webhooks or self.targets or self.windows or self.gate.checks)

    def target(self, service: str, tier: str) -> Target | None:
        return next((one for one in self.targets if one.fits(service, tier)), None)

    @model_validator(mode="after")
    def _names_differ(self) -> Events:
        names = [one.name for one in self.webhooks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two webhooks share the name {twice[0]!r}; names must differ")
        return self
