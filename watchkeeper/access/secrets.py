"""Random values that are shown once and stored only as hashes."""

from __future__ import annotations

import hashlib
import secrets

#: 256 bits.
BYTES = 32


def fresh() -> str:
    """A new random value, URL-safe."""
    return secrets.token_urlsafe(BYTES)


def digest(value: str) -> str:
    """What is stored of it: the value has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(value.encode()).hexdigest()
