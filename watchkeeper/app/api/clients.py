"""Who is at the other end of a connection, by the certificate it showed."""

from __future__ import annotations

from fastapi import Request

from watchkeeper.app.engine import Engine
from watchkeeper.app.quiet_server import CLIENT_NAMES

WANTED = "show a certificate that engine.tls.clients_ca has signed (certificate and key of remote_write)\n"


def names_of(request: Request) -> frozenset[str]:
    """Names in the certificate that was shown: the common name and DNS names."""
    found: frozenset[str] = getattr(request.state, CLIENT_NAMES, frozenset())
    return found


def asked_for(engine: Engine) -> bool:
    """Whether certificates are asked for."""
    tls = engine.config.engine.tls
    return tls is not None and tls.clients_ca is not None


def unknown(engine: Engine, request: Request) -> bool:
    """Certificates are asked for, and this connection showed none."""
    return asked_for(engine) and not names_of(request)
