"""Where a server stands and what it is told: ``host:port`` addresses, and secrets out of files."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import SecretStr

from watchkeeper.errors import CollectError


def split_address(address: str, default_port: int) -> tuple[str, int]:
    """(host, port) of ``host``, ``host:port`` or ``[v6]:port``. Raises ValueError."""
    host, colon, tail = address.rpartition(":")
    if not colon or (tail.endswith("]") and address.startswith("[")) or (":" in host and not host.endswith("]")):
        host, tail = address, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not tail.isdigit() or not 0 < int(tail) < 65536:
        raise ValueError(f"address {address!r} must be host:port, such as 10.0.0.5:{default_port}")
    return host, int(tail)


def read_secret(path: str, option: str) -> str:
    """A secret from a file, read anew each time so that rotation needs no restart. Raises CollectError."""
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise CollectError(f"{option} {path} cannot be read: {reason}", reason="token") from None
    if not secret:
        raise CollectError(f"{option} {path} holds nothing", reason="token")
    return secret


def one_secret(secret: SecretStr | None, path: str) -> str:
    """The password as it stands in the configuration or in its file; empty where there is none."""
    if path:
        return read_secret(path, "password_file")
    return secret.get_secret_value() if secret else ""


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Certificates are always checked, against ``ca_file`` or the system's authorities. Raises CollectError."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise CollectError(f"ca_file {ca_file} cannot be read: {error.strerror or error}", reason="tls") from None
