"""Who asks, and whom it trusts: options of every kind that reads over HTTP."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import field
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.trust import Trust

from .base import STRICT
from .credentials import one_secret


@dataclass(kw_only=True, config=STRICT)
class HttpIdentity:
    """A token, a user, or a certificate of our own; and the authority of the server's."""

    headers: dict[str, str] = field(default_factory=dict)  #: sent with the request
    bearer_token_file: str = ""  #: file with a token, read for every request
    username: str = ""  #: of HTTP basic authentication
    password: SecretStr | None = None
    password_file: str = ""  #: file with the password, read for every request
    ca_file: str = ""  #: authorities to check an https server against, PEM; the system's when empty
    certificate: str = ""  #: ours, where the server asks for one (mutual TLS), PEM; read anew when it changes
    key: str = ""  #: its key; empty: it stands with the certificate
    server_name: str = ""  #: whom an https server is asked as and has to be; empty: the host of the url

    @property
    def trust(self) -> Trust:
        return Trust(self.ca_file, self.certificate, self.key, self.server_name)

    def basic(self) -> dict[str, str]:
        """The header of basic authentication; none without a user. Raises CollectError."""
        if not self.username:
            return {}
        password = one_secret(self.password, self.password_file)
        return {"authorization": f"Basic {b64encode(f'{self.username}:{password}'.encode()).decode()}"}

    def check_url(self, url: str) -> str:
        """``host:port`` of an address that can be read so. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host:port/path or https://...")
        if parts.scheme == "http" and self.trust:
            raise ValueError(
                "ca_file, certificate and server_name are of TLS; write the address with https:// in front"
            )
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
