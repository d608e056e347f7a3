"""How a server that we send to knows us, and we know it: files are read anew when they change."""

from __future__ import annotations

import base64
import re
import ssl
from datetime import datetime
from pathlib import Path

from watchkeeper.app.pipeline.sending import SendError
from watchkeeper.config.schema import RemoteWrite
from watchkeeper.errors import ConfigError
from watchkeeper.telemetry import logger

log = logger(__name__)

#: Both ends of a certificate's time in DER, as far as they are before 2050 (RFC 5280, UTCTime).
_VALIDITY = re.compile(rb"\x17\x0d\d{12}Z\x17\x0d(\d{12}Z)", re.DOTALL)
_LAST_LINE = "-----END CERTIFICATE-----"


class Credentials:
    """A renewed token counts for the next request, a renewed certificate for the next connection."""

    def __init__(self, options: RemoteWrite) -> None:
        """Raises ConfigError."""
        self._options = options
        try:
            self.context = _context(options)
            self._shown = self._stamp()
            self.headers()
        except (OSError, ssl.SSLError, SendError) as error:
            said = f"its token or certificates cannot be used: {error}"
            raise ConfigError(said, key=f"remote_write.{options.name}") from None

    def headers(self) -> dict[str, str]:
        """Of one request. Raises SendError when the token's file cannot be read."""
        self._renew()
        options = self._options
        sent = {name.lower(): value.get_secret_value() for name, value in options.headers.items()}
        if options.username:
            pair = f"{options.username}:{options.password.get_secret_value()}".encode()
            sent["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if token := options.token.get_secret_value() or _text(options.token_file):
            sent["authorization"] = f"Bearer {token}"
        return sent

    def explained(self, error: SendError, now: datetime) -> SendError:
        """The failure, of a broken connection with what may be wrong with our certificate."""
        path = self._options.certificate
        if path is None or error.reason not in ("connect", "protocol", "tls"):
            return error
        ends = _ends(path)
        if ends is not None and ends <= now:
            said = f"our certificate {path} ended on {ends:%Y-%m-%d}: renew it"
        else:
            said = f"does the server trust who signed our certificate {path} (engine.tls.clients_ca)?"
        return SendError(error.reason, f"{str(error).rstrip('.')}; {said}", refused=error.refused, after=error.after)

    def _renew(self) -> None:
        """Show the certificate that lies there now, once it and its key fit."""
        stamp = self._stamp()
        if stamp == self._shown or self.context is None or self._options.certificate is None:
            return
        try:
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self.context):  # a failure leaves one without any
                context.load_cert_chain(self._options.certificate, self._options.key)
        except (OSError, ssl.SSLError) as error:  # half renewed: looked at again for the next request
            log.warning("our certificate cannot be read anew", name=self._options.name, error=str(error))
            return
        self._shown = stamp
        log.info("our certificate was renewed", name=self._options.name)

    def _stamp(self) -> list[tuple[int, int] | None]:
        """Time and size of the files of our certificate; None for one that is not there."""
        return [_changed(path) for path in (self._options.certificate, self._options.key) if path is not None]


def _context(options: RemoteWrite) -> ssl.SSLContext | None:
    """How the server's certificate is checked, and ours shown; None for the system's way."""
    if not options.ca and options.certificate is None:
        return None
    context = ssl.create_default_context(cadata=options.ca or None)
    if options.certificate is not None:
        context.load_cert_chain(options.certificate, options.key)
    return context


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _ends(path: Path) -> datetime | None:
    """When the first certificate of a file ends; None where that cannot be read."""
    try:
        pem = path.read_text(encoding="ascii", errors="replace")
        found = _VALIDITY.search(ssl.PEM_cert_to_DER_cert(pem[: pem.index(_LAST_LINE) + len(_LAST_LINE)]))
        return None if found is None else datetime.strptime(f"20{found[1].decode()}+0000", "%Y%m%d%H%M%SZ%z")
    except (OSError, ValueError):
        return None


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SendError("token", f"{path} cannot be read: {error.strerror}") from None
