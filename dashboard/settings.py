"""What the dashboard process needs to know; nothing of it is secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

#: Listening here means every interface: the name people use must then be given as ``public_url``.
WILDCARDS = ("0.0.0.0", "::", "[::]", "")  # noqa: S104 - recognised, never chosen
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Settings(BaseModel):
    """Options of the dashboard; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine_url: str = Field(default="http://127.0.0.1:9700", pattern=r"^https?://[^/\s]+/?$")  #: the engine's API
    engine_ca_file: Path | None = None  #: PEM file that signs the engine's certificate; none: the system's own
    proof_file: Path | None = None  #: what makes the engine believe a visitor's address; none: it counts our own
    listen: str = Field(default="127.0.0.1:8050", pattern=r"^.*:\d{1,5}$")  #: address of the pages
    public_url: str = Field(
        default="", pattern=r"^(https?://[^/\s]+/?)?$"
    )  #: how people reach it; empty: http://<listen>
    refresh_seconds: float = Field(default=5.0, ge=1.0, le=300.0)  #: how often an open page asks for news
    secure_cookies: bool = False  #: cookies for https alone; an https public_url always asks for them
    language: str = Field(default="zh-CN", pattern=r"^(zh-CN|en)$")  #: of the pages before anybody has signed in
    time_zone: str = "UTC"  #: of a user who has not chosen one

    @property
    def secure(self) -> bool:
        return self.secure_cookies or self.public_url.startswith("https://")

    @property
    def cookie(self) -> str:
        """Name of the session cookie; browsers accept ``__Host-`` only with Secure, Path=/ and no Domain."""
        return "__Host-wk" if self.secure else "wk"

    @property
    def hosts(self) -> frozenset[str]:
        """Host headers that are answered: all others are DNS rebinding or a missing ``public_url``."""
        host, _, port = self.listen.rpartition(":")
        names = {f"{name}:{port}" for name in LOOPBACK}
        if host not in WILDCARDS:
            names.add(self.listen.lower())
        public = urlsplit(self.public_url).netloc.lower()
        if public:
            names.add(public)
        if public.rpartition(":")[0] in LOOPBACK:
            names |= {f"{name}:{public.rpartition(':')[2]}" for name in LOOPBACK}
        return frozenset(names)

    def origin(self, host: str) -> str:
        """The one Origin a request for ``host`` may carry."""
        if self.public_url and urlsplit(self.public_url).netloc.lower() == host:
            return self.public_url.rstrip("/")
        return f"{'https' if self.secure else 'http'}://{host}"
