"""PyMySQL's connection with bounds: whatever answers, so many bytes and so long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pymysql.connections import Connection
from pymysql.constants import CR
from pymysql.err import OperationalError

if TYPE_CHECKING:
    Base: TypeAlias = Connection[Any]  # generic in the stubs alone
else:
    Base = Connection


class BoundedConnection(Base):
    """``max_bytes`` and ``seconds`` are for the whole life of the connection."""

    _unchecked: ClassVar[Any] = None

    def __init__(self, *args: Any, max_bytes: int, seconds: float, **options: Any) -> None:
        self._bytes_left, self._until = max_bytes, time.monotonic() + seconds
        if isinstance(options.get("password"), str):  # PyMySQL itself takes no other letters than Latin 1
            options["password"] = options["password"].encode()
        super().__init__(*args, **options)

    def _read_bytes(self, num_bytes: int) -> bytes:
        """PyMySQL's own waits for all of them, however slowly they come."""
        self._bytes_left -= num_bytes
        if self._bytes_left < 0:
            raise self._lost("the answers are larger than max_bytes")
        parts, missing = [], num_bytes
        while missing:
            if time.monotonic() > self._until:
                raise self._lost("timed out")
            try:
                self._rfile.peek(1)  # type: ignore[attr-defined]  # fills the buffer; read1 alone asks for 4 bytes
                part = self._rfile.read1(missing)  # type: ignore[attr-defined]  # the stubs leave it out
            except OSError as error:
                raise self._lost(str(error)) from None
            if not part:
                raise self._lost("the connection ended")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _get_server_information(self) -> None:
        """PyMySQL's own trips over a greeting that ends before the length of its salt."""
        try:
            super()._get_server_information()  # type: ignore[misc]  # the stubs leave it out
        except UnboundLocalError:
            raise self._lost("the greeting ends early") from None

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        """Without options PyMySQL uses TLS where it is offered, unchecked; one context (30 ms) does for all."""
        if sslp:
            return super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # the stubs leave it out
        if self._unchecked is None:
            type(self)._unchecked = super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # the stubs leave it out
        return self._unchecked

    def _lost(self, why: str) -> OperationalError:
        self._force_close()  # type: ignore[attr-defined]  # the stubs leave it out
        return OperationalError(CR.CR_SERVER_LOST, f"Lost connection: {why}")
