"""The sample store that the configuration asks for, and the PromQL that goes with it."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

from watchkeeper.app.paths import DataDir
from watchkeeper.clock import Clock
from watchkeeper.config import Config, Loaded
from watchkeeper.config.schema import SampleServer
from watchkeeper.errors import ConfigError
from watchkeeper.ports import SampleStore
from watchkeeper.promql import Engine, Gate, Pushed
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.remote import Address, Pace, RemoteStore, Server

#: Either kind, with what the port does not name: pushes of others.
Samples = EmbeddedStore | RemoteStore


def open_samples(loaded: Loaded, data: DataDir, clock: Clock, *, pace: Pace | None = None) -> Samples:
    """Embedded, or on the server that ``store.samples.url`` names. Raises ConfigError and StoreError."""
    section = loaded.config.store.samples
    if not section.url:
        return embedded(loaded.config, data, clock)
    return RemoteStore(
        data.remote_samples,
        Server(address(section, loaded.base)),
        clock=clock,
        head=section.head,
        spool_bytes=section.spool_bytes,
        alone=section.alone,
        pace=pace,
    )


def embedded(config: Config, data: DataDir, clock: Clock) -> EmbeddedStore:
    """The store of this machine with what the configuration says of its retention."""
    return EmbeddedStore(
        data.samples,
        clock=clock,
        retention=config.store.retention,
        retention_bytes=config.store.retention_bytes,
        tiers={300_000: config.store.retention_5m, 3_600_000: config.store.retention_1h},
    )


def pages(samples: SampleStore, gate: Gate) -> Engine:
    """PromQL for pages, the API and forecasts: pushed down where a server keeps the samples."""
    return Pushed(samples, samples, gate=gate) if isinstance(samples, RemoteStore) else Engine(samples, gate=gate)


def address(section: SampleServer, base: Path) -> Address:
    """Raises ConfigError when a certificate cannot be used."""
    headers = {name: value.get_secret_value() for name, value in section.headers.items()}
    if token := section.token.get_secret_value():
        headers["authorization"] = f"Bearer {token}"
    elif section.username:
        pair = f"{section.username}:{section.password.get_secret_value()}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Address(
        url=section.url,
        write_url=section.write_url,
        headers=headers,
        timeout=section.timeout.total_seconds(),
        tls=_tls(section, base),
    )


def _tls(section: SampleServer, base: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if section.tls.ca is None else str(base / section.tls.ca))
        if section.tls.certificate is not None and section.tls.key is not None:
            context.load_cert_chain(base / section.tls.certificate, base / section.tls.key)
    except OSError as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"a certificate or key cannot be used: {error}", key="store.samples.tls") from None
    return context
