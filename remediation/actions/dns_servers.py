"""Authoritative name servers asked and updated from a thread (RFC 2136), each message signed (TSIG, RFC 8945)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper.errors import ActionError

from . import said

if TYPE_CHECKING:
    from dns.message import Message
    from dns.name import Name

#: What a server says when the records are no longer what the update was made from (RFC 2136, 2.2).
MEANWHILE = ("YXDOMAIN", "YXRRSET", "NXDOMAIN", "NXRRSET")


class Key(NamedTuple):
    """A TSIG key; an empty name signs nothing."""

    name: str
    secret: str  #: base64
    algorithm: str


class Records(NamedTuple):
    """What a name has of one type: values as in a zone file, sorted, and how long others may keep them."""

    values: tuple[str, ...]
    ttl: int  #: seconds


class Server(NamedTuple):
    address: str  #: host:port
    key: Key
    timeout: float  #: seconds for each question

    def ask(self, record: str, kind: str) -> Records:
        """Raises ActionError when it does not answer with authority; no values when there are none."""
        from dns.flags import AA, RD
        from dns.message import make_query
        from dns.rcode import NOERROR, NXDOMAIN, to_text
        from dns.rdatatype import from_text

        query = make_query(record, kind)
        query.flags &= ~RD
        answer = self._exchange(query, effect=False)
        if answer.rcode() not in (NOERROR, NXDOMAIN):
            raise said.refused(self.address, "QUERY", to_text(answer.rcode()))
        if not answer.flags & AA:
            raise said.refused(self.address, "QUERY", "it has no authority over the name")
        rows = [each for each in answer.answer if each.rdtype == from_text(kind)]
        return Records(written(kind, [row.to_text() for each in rows for row in each]), rows[0].ttl if rows else 0)

    def replace(self, zone: str, record: str, kind: str, old: Sequence[str], new: Sequence[str], ttl: int) -> None:
        """All values at once, and only if the old ones are still there. Raises ActionError."""
        from dns.rcode import NOERROR, SERVFAIL, to_text
        from dns.update import UpdateMessage

        name = relative(record, zone)
        update = UpdateMessage(zone)
        update.present(name, kind, *old)
        update.replace(name, ttl, kind, *new)
        code = self._exchange(update, effect=True).rcode()
        if code == NOERROR:
            return
        told = to_text(code)
        if told in MEANWHILE:
            raise said.changed(record, told)
        raise said.refused(self.address, "UPDATE", told, unknown=code == SERVFAIL)

    def _exchange(self, message: Message, *, effect: bool) -> Message:
        from dns.exception import DNSException
        from dns.query import tcp
        from dns.tsig import PeerError

        if self.key.name:
            message.use_tsig(_keyring(self.key), algorithm=self.key.algorithm)
        host, _, port = self.address.rpartition(":")
        try:
            return tcp(message, host.strip("[]"), self.timeout, int(port))
        except ConnectionRefusedError as error:
            raise said.unreachable(self.address, error.strerror) from None
        except PeerError as error:  # it does not know or believe the key
            raise said.refused(self.address, type(message).__name__, type(error).__name__) from None
        except (DNSException, OSError, EOFError, ValueError) as error:  # a refusal that is not signed is not believed
            raise said.unreachable(self.address, f"{type(error).__name__}:{error}", unknown=effect) from None


def written(kind: str, values: Sequence[str]) -> tuple[str, ...]:
    """Values as a zone file has them, in lower case and sorted. Raises ActionError for what is none of that type."""
    from dns.exception import DNSException
    from dns.name import root
    from dns.rdata import from_text

    try:
        return tuple(
            sorted(from_text("IN", kind, value, origin=root, relativize=False).to_text().lower() for value in values)
        )
    except DNSException as error:
        raise ActionError(f"{', '.join(values)} is no {kind} record: {error}") from None


def relative(record: str, zone: str) -> Name:
    """The name inside its zone. Raises ActionError when it is outside of it."""
    from dns.name import from_text

    name, origin = from_text(record), from_text(zone)
    if not name.is_subdomain(origin):
        raise ActionError(f"{record} is not in the zone {zone}")
    return name


def _keyring(key: Key) -> dict[Name, object]:
    from dns.tsigkeyring import from_text

    try:
        b64decode(key.secret, validate=True)
    except binascii.Error:
        raise ActionError("key_secret is not base64") from None
    found: dict[Name, object] = from_text({key.name: (key.algorithm, key.secret)})
    return found
