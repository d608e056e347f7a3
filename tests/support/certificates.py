"""Certificates made by openssl for one test, and a server that shows one."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words: str) -> None:
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("openssl makes the certificate")
    subprocess.run([found, *words], check=True, capture_output=True)


def self_made(folder: Path, name: str = "watchkeeper.example") -> tuple[Path, Path]:
    """(certificate, key), signed by itself, for a host name that is not this machine's."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl(
        "req", "-x509", *CURVE, "-keyout", str(key), "-out", str(cert), "-days", "2",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
    )  # fmt: skip
    return cert, key


def issued(folder: Path, name: str, issuer: tuple[Path, Path]) -> tuple[Path, Path]:
    """(certificate with its issuer's in the same file, key)."""
    cert, key, request = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.csr"
    openssl("req", *CURVE, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
    signer = ("-CA", str(issuer[0]), "-CAkey", str(issuer[1]), "-CAcreateserial")
    openssl("x509", "-req", "-in", str(request), *signer, "-days", "2", "-out", str(cert))
    cert.write_text(cert.read_text() + issuer[0].read_text())
    return cert, key


def ended(folder: Path) -> tuple[Path, Path]:
    """(certificate of localhost that was good in January 2024, key), signed by itself."""
    cert, key, request = folder / "ended.pem", folder / "ended.key", folder / "ended.csr"
    openssl("req", *CURVE, "-keyout", str(key), "-out", str(request), "-subj", "/CN=localhost")
    (folder / "index.txt").touch()
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca=c\n[c]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    openssl(
        "ca", "-batch", "-selfsign", "-notext", "-config", str(folder / "ca.conf"), "-keyfile", str(key),
        "-in", str(request), "-out", str(cert), "-startdate", "20240101000000Z", "-enddate", "20240201000000Z",
    )  # fmt: skip
    return cert, key


class Answer(BaseHTTPRequestHandler):
    #: Seconds that a client may be silent, in its handshake too.
    timeout = 0.5

    def do_GET(self) -> None:
        body = b'{"needed": false}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests read no access log."""


@contextmanager
def serving_tls(
    cert: Path, key: Path, *, clients: Path | None = None, handler: type[BaseHTTPRequestHandler] = Answer
) -> Iterator[str]:
    """A server on all addresses of this machine; gives the address by loopback. ``clients``: signs who may ask."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    server = ThreadingHTTPServer(("0.0.0.0", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake is no news
    # a handshake that stands still, as one of changed bytes may, is its own thread's
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
