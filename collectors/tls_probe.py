"""How long a server's certificates last, who vouches for them, and for which name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.sockets import Talk, secured

from .base import STRICT, Reading
from .probe import Probe, Tried, failed, host_and_port
from .probe_connect import Connected, over_connection

DAY = 86_400.0
#: OpenSSL's X509_V_ERR codes: the name or address is not that of the certificate; it ended; it has not begun.
WRONG_NAME, EXPIRED, NOT_YET = (62, 64), 10, 9


@dataclass(kw_only=True, config=STRICT)
class TlsProbe(Probe):
    """Shakes hands and looks at every certificate that is shown. An invalid one is read too, so its days are known.

    Good for: web servers, databases and brokers that speak TLS from the first byte. Not for: STARTTLS.
    """

    KIND: ClassVar[str] = "tls_probe"

    address: str  #: host:port; without a port 443
    server_name: str = ""  #: name asked for and checked; the host when empty
    ca: str = Field(default="", repr=False)  #: certificates of who is trusted, PEM; empty: the system's, or ca_file
    ca_file: str = ""  #: file with them
    certificate: Path | None = None  #: our own, PEM, where the server asks for one; with `key`
    key: Path | None = None  #: of our own certificate, PEM
    min_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"  #: an older protocol is a failure
    min_days: float = Field(default=0.0, ge=0)  #: fewer days left are a failure

    def __post_init__(self) -> None:
        self._host, self._port = host_and_port(self.address, 443)
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; add the other")
        try:
            if self.ca:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=self.ca)
        except (ssl.SSLError, ValueError):
            raise ValueError("ca holds no PEM certificate") from None
        self._contexts: list[ssl.SSLContext] = []
        super().__post_init__()

    def place(self) -> str:
        return self.address

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:
        if not self._contexts:
            try:
                self._contexts = await asyncio.to_thread(self._make_contexts)
            except OSError as error:
                raise CollectError(f"certificate, key or ca_file cannot be used: {error}", reason="tls") from None
        shaken = await self._shake(outbound)
        if shaken is None:
            return failed("tls")
        readings = list(shaken.readings(now))
        reason = shaken.reason
        if not reason and shaken.version < self.min_version:
            reason = "protocol"
        if not reason and shaken.days(now) < self.min_days:
            reason = "expires"
        return failed(reason, readings) if reason else (True, readings)

    async def _shake(self, outbound: Outbound) -> _Shaken | None:
        """The strictest handshake that works, or None when there is no TLS to be had."""
        strict, nameless, lenient = self._contexts
        code = name_code = 0
        for context in (strict, nameless, lenient):
            if context is nameless and code:
                continue  # who vouches for it was the trouble, not its name
            shake = partial(_handshake, context, self.server_name or self._host)
            try:
                shaken = await over_connection(outbound, self._host, self._port, shake, self.timeout)
            except ssl.SSLCertVerificationError as error:
                if error.verify_code in WRONG_NAME:
                    name_code = error.verify_code
                else:
                    code = error.verify_code
            else:
                return shaken and replace(shaken, code=code, name_code=name_code)
        return None

    def _make_contexts(self) -> list[ssl.SSLContext]:
        """Strict, blind to names, blind to everything."""
        made = [ssl.create_default_context(cafile=self.ca_file or None, cadata=self.ca or None) for _ in range(3)]
        for context in made[1:]:
            context.check_hostname = False
        made[2].verify_mode = ssl.CERT_NONE
        if self.certificate is not None:
            for context in made:
                context.load_cert_chain(self.certificate, self.key)
        return made


@plain_dataclass(frozen=True, slots=True)
class _Shaken:
    """What one handshake showed. Codes are OpenSSL's, 0 where nothing was wrong."""

    version: str
    cipher: str
    chain: Sequence[dict[str, Any]]  #: as ``getpeercert`` gives them, the server's own first
    resolving: float
    connecting: float
    code: int = 0
    name_code: int = 0

    @property
    def reason(self) -> str:
        if self.code:
            return {EXPIRED: "expired", NOT_YET: "not_yet_valid"}.get(self.code, "untrusted")
        return "host_name" if self.name_code else ""

    def ends(self) -> list[float]:
        return [float(ssl.cert_time_to_seconds(str(one["notAfter"]))) for one in self.chain]

    def days(self, now: datetime) -> float:
        return (min(self.ends()) - now.timestamp()) / DAY

    def readings(self, now: datetime) -> Iterator[Reading]:
        yield "probe_dns_lookup_time_seconds", (), self.resolving
        yield "probe_tcp_duration_seconds", (("phase", "connect"),), self.connecting
        yield "probe_tls_version_info", (("version", self.version.replace("v", " ")),), 1.0
        yield "probe_tls_cipher_info", (("cipher", self.cipher),), 1.0
        yield "probe_tls_chain_valid", (), float(not self.code)
        if not self.code:
            yield "probe_tls_host_name_valid", (), float(not self.name_code)
        yield "probe_tls_chain_length", (), float(len(self.chain))
        yield "probe_ssl_earliest_cert_expiry", (), min(self.ends())
        yield "probe_tls_days_left", (), self.days(now)
        first = self.chain[0]
        own = (("subject", _name(first.get("subject"))), ("issuer", _name(first.get("issuer"))))
        yield "probe_ssl_last_chain_info", (*own, ("serial", str(first.get("serialNumber", "")))), 1.0


def _handshake(context: ssl.SSLContext, name: str, to: Connected) -> Talk[_Shaken | None]:
    """None when there is no TLS to be had. Raises SSLCertVerificationError."""
    try:
        tls = yield from secured(to.made, context, name)
    except ssl.SSLCertVerificationError:
        raise
    except (ssl.SSLError, ConnectionError):
        return None
    with tls:
        cipher = tls.cipher()
        return _Shaken(str(tls.version()), cipher[0] if cipher else "", _shown(tls), to.resolving, to.connecting)


def _shown(tls: Any) -> list[dict[str, Any]]:
    """Every certificate the server sent, checked or not.

    Python decodes unchecked certificates only through the object below its own; 3.11 to 3.13 have it.
    """
    with suppress(AttributeError):
        return [one.get_info() for one in tls._sslobj.get_unverified_chain()]
    return [tls.getpeercert()]


def _name(rows: Any) -> str:
    """``CN=shop.example.com,O=Shop`` as far as 200 characters go."""
    short = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}
    pairs = [pair for row in rows or () for pair in row]
    return ",".join(f"{short.get(key, key)}={value}" for key, value in pairs)[:200]
