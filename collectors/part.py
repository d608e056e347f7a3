"""What collectors of one target share: options by the same names, the target's labels, ends of series."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import ClassVar

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound, Response

from .base import STRICT, Sheet, target_labels
from .credentials import one_secret, split_address, tls_context
from .fetch import fetch
from .http_identity import HttpIdentity


@dataclass(kw_only=True, config=STRICT)
class Part:
    """A collector that reads one target, whose series all carry the same labels."""

    KIND: ClassVar[str] = ""

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series and line
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole reading
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; the address when empty

    def __post_init__(self) -> None:
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=self.place()
        )
        self._sheet = Sheet(f"{self.KIND}/{self.name}", self.target_labels, limit=self.sample_limit)

    def place(self) -> str:
        """What is read, without secrets."""
        raise NotImplementedError

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """Nothing is held between readings."""


@dataclass(kw_only=True, config=STRICT)
class ServerPart(Part):
    """One server with a protocol of its own: where it stands, who asks, and whether by TLS."""

    PORT: ClassVar[int] = 0  #: where no port is named

    address: str  #: host:port
    username: str = ""
    password: SecretStr | None = None
    password_file: str = ""  #: file with the password, read for every reading
    tls: bool = False  #: TLS with the server's certificate checked
    ca_file: str = ""  #: authorities to check against; the system's when empty

    def __post_init__(self) -> None:
        self._host, self._port = split_address(self.address, self.PORT)
        super().__post_init__()

    def place(self) -> str:
        return f"{self._host}:{self._port}"

    def secret(self) -> str:
        """The password; empty where there is none. Raises CollectError."""
        return one_secret(self.password, self.password_file)

    def context(self) -> ssl.SSLContext | None:
        """What checks the server's certificate; None without TLS. Raises CollectError."""
        return tls_context(self.ca_file) if self.tls else None


@dataclass(kw_only=True, config=STRICT)
class HttpPart(Part, HttpIdentity):
    """One HTTP address, with a token, with a user, or open."""

    url: str  #: http or https address
    max_bytes: int = Field(default=16 << 20, gt=0)  #: largest answer, after decompression

    def place(self) -> str:
        return self.check_url(self.url)

    async def ask(
        self,
        outbound: Outbound,
        method: str = "GET",
        path: str = "",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One answer of status 200 from ``path`` under ``url``. Raises CollectError."""
        return await fetch(
            outbound,
            method,
            self.url.rstrip("/") + path if path else self.url,
            headers={"accept": "application/json", **(headers or {}), **self.headers, **self.basic()},
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            content=content,
            bearer_token_file=self.bearer_token_file,
            trust=self.trust,
        )
