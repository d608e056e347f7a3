"""Whom an HTTPS server has to be and who we are to it: files that are read anew when they change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.errors import OutboundError


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates are always checked; this says against what, and what we show where a server asks for one."""

    ca_file: str = ""  #: authorities, PEM; empty: the system's
    certificate: str = ""  #: ours, PEM
    key: str = ""  #: its key; empty: it stands with the certificate

    def __bool__(self) -> bool:
        return bool(self.ca_file or self.certificate)

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Changes whenever a file does. Raises OutboundError."""
        return tuple(self._stat(path) for path in (self.ca_file, self.certificate, self.key) if path)

    def context(self) -> ssl.SSLContext:
        """Raises OutboundError for a file that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise _useless("ca_file", self.ca_file, error) from None
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key or None, password="")
            except OSError as error:
                raise _useless("certificate", self.certificate, error) from None
        return context

    @staticmethod
    def _stat(path: str) -> tuple[int, int]:
        try:
            found = Path(path).stat()
        except OSError as error:
            raise _useless("file", path, error) from None
        return found.st_mtime_ns, found.st_size


def _useless(option: str, path: str, error: OSError) -> OutboundError:
    why = "is no PEM of certificates, or the key is another's" if isinstance(error, ssl.SSLError) else error.strerror
    return OutboundError(f"{option} {path} cannot be used: {why}", reason="tls")
