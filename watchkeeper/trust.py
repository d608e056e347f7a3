"""Whom an HTTPS server has to be and who we are to it: files that are read anew when they change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchkeeper.errors import OutboundError


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates are always checked; this says against what, and what we show where a server asks for one."""

    ca_file: str = ""  #: authorities, PEM; empty: the system's
    certificate: str = ""  #: ours, PEM
    key: str = ""  #: its key; empty: it stands with the certificate
    server_name: str = ""  #: whom the server is asked as, and has to be; empty: the address's host

    def __bool__(self) -> bool:
        return bool(self.ca_file or self.certificate or self.server_name)

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Changes whenever a file does. Raises OutboundError."""
        return tuple(self._stat(path) for path in (self.ca_file, self.certificate, self.key) if path)

    def context(self) -> ssl.SSLContext:
        """Raises OutboundError for a file that cannot be used."""
        try:
            context = _named(self.server_name, self.ca_file)
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


class _Named(ssl.SSLContext):
    """Of servers that are reached by another name than their certificate's, whichever client opens the connection."""

    server_name: str

    def wrap_socket(self, sock: Any, **more: Any) -> Any:  # type: ignore[override]  # by name, as our clients ask
        return super().wrap_socket(sock, **{**more, "server_hostname": self.server_name})

    def wrap_bio(self, incoming: Any, outgoing: Any, server_side: bool = False,  # noqa: FBT001 - as it is there
                 server_hostname: Any = None, session: Any = None) -> Any:  # fmt: skip
        del server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name, session)


def _named(server_name: str, ca_file: str) -> ssl.SSLContext:
    """Raises OSError for authorities that cannot be read."""
    if not server_name:
        return ssl.create_default_context(cafile=ca_file or None)
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    return context


def _useless(option: str, path: str, error: OSError) -> OutboundError:
    why = "is no PEM of certificates, or the key is another's" if isinstance(error, ssl.SSLError) else error.strerror
    return OutboundError(f"{option} {path} cannot be used: {why}", reason="tls")
