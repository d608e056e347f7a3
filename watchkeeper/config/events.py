"""``events:`` who tells what happens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Preset = Literal["watchkeeper", "github", "gitlab", "gitea", "gitee", "jenkins", "argocd", "alertmanager"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(Section):
    """One sender, told ``POST <engine>/api/wk/webhooks/<name>``."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]  #: last part of its address
    preset: Preset = "watchkeeper"  #: whose payloads and signatures these are
    secret: SecretStr  #: shared with the sender, 16 characters at least; or secret_file
    services: dict[str, str] = {}  #: its word, such as owner/repository -> service; empty: the word after the last /
    environments: dict[str, str] = {}  #: its word -> environment, for example production: PROD
    environment: str = ""  #: of deliveries that name none

    @model_validator(mode="after")
    def _guarded(self) -> Webhook:
        if len(self.secret.get_secret_value()) < 16:
            raise ValueError("secret: write 16 characters at least, for example of `openssl rand -hex 32`")
        return self


class Events(Section):
    webhooks: list[Webhook] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Events:
        names = [one.name for one in self.webhooks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two webhooks share the name {twice[0]!r}; names must differ")
        return self
