"""Headers every answer carries."""

from __future__ import annotations

from collections.abc import Sequence


def policy(script_hashes: Sequence[str]) -> str:
    """The Content-Security-Policy: own host only, no inline script but the hashed ones, no eval, no frames.

    Inline *styles* stay allowed: Mantine and Plotly write style elements at run time.
    """
    parts = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", *script_hashes]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


#: The policy of the server-rendered forms: no script at all.
PLAIN = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def security_headers(csp: str, *, secure: bool) -> list[tuple[bytes, bytes]]:
    found = [
        ("content-security-policy", csp),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ]
    if secure:
        found.append(("strict-transport-security", "max-age=31536000"))
    return [(name.encode(), value.encode()) for name, value in found]
