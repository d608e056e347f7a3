"""How much one request may bring."""

from __future__ import annotations

#: Largest request body taken in.
MAX_BODY = 32 << 20
