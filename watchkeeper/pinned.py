"""TLS to our own engine: exactly the certificate that the configuration names, and no other."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from watchkeeper.errors import ConfigError

#: The first certificate of a PEM file is the server's own; what follows it is its issuers'.
FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def pinned(certificate: Path) -> ssl.SSLContext:
    """A client's context that trusts this one certificate, whoever issued it and whatever host it names.

    Issuers in the same file are not trusted: without a check of the name, any certificate of theirs would pass.
    Raises ConfigError when the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # the certificate itself is known; clients on this machine ask it by loopback
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate is the anchor, self-made or not
    try:
        found = FIRST.search(certificate.read_text(encoding="utf-8"))
        if found is None:
            raise ConfigError("there is no PEM certificate in it", file=str(certificate), key="engine.tls.certificate")
        context.load_verify_locations(cadata=found[0])
    except (OSError, UnicodeDecodeError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"{certificate} cannot be read: {error}", key="engine.tls.certificate") from None
    return context
