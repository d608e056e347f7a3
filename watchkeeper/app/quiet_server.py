"""The HTTP server of engine and dashboard: uvicorn, without signal handlers and without words."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from watchkeeper.app.wiring import listen
from watchkeeper.config.schema import Tls

#: In the connection's state: the names in the certificate that ``engine.tls.clients_ca`` signed; none without one.
CLIENT_NAMES = "client_names"


class KnowsClients(H11Protocol):
    """Tells the application which certificate, signed by ``engine.tls.clients_ca``, the connection showed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, CLIENT_NAMES: names_in(tls.getpeercert() if tls else None)}


def names_in(certificate: dict[str, object] | None) -> frozenset[str]:
    """Common name and DNS names of a certificate, as the ssl module tells it; an empty one where it has none."""
    if not certificate:
        return frozenset()
    subject, others = certificate.get("subject", ()), certificate.get("subjectAltName", ())
    assert isinstance(subject, tuple)
    assert isinstance(others, tuple)
    found = {str(value) for part in subject for name, value in part if name == "commonName"}
    found |= {str(value) for kind, value in others if kind == "DNS"}
    return frozenset(found or {""})


class QuietServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the process decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def quiet_server(app: object, address: str, tls: Tls | None, *, proxied: bool = False) -> uvicorn.Server:
    """A server on one address, TLS 1.2 or newer when there is a certificate.

    ``proxied``: a proxy on this host says who the visitor is; without one X-Forwarded-For is anybody's word.
    """
    host, port = listen(address)
    clients = getattr(tls, "clients_ca", None)
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxied,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=64 << 10,
        limit_concurrency=1000,
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        ssl_ca_certs=str(clients) if clients else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if clients else ssl.CERT_NONE,
        http=KnowsClients,
    )
    return QuietServer(config)
