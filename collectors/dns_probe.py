"""Whether a name server answers, in time and rightly."""

from __future__ import annotations

import asyncio
import time
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.outbound import Outbound

from .answers import check_pattern, found
from .base import STRICT, Reading
from .probe import Probe, Tried, failed, host_and_port

if TYPE_CHECKING:
    from dns.message import Message


@dataclass(kw_only=True, config=STRICT)
class DnsProbe(Probe):
    """Asks one name server one question; UDP that comes cut short is asked again over TCP.

    Good for: own resolvers and zones. Not for: looking a name up (``dns_sd_configs`` does that).
    """

    KIND: ClassVar[str] = "dns_probe"

    server: str  #: host:port; without a port 53
    query: str  #: the name that is asked for
    type: Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA"] = "A"
    transport: Literal["udp", "tcp"] = "udp"
    recursion: bool = True  #: ask for recursion
    rcodes: list[str] = field(default_factory=lambda: ["NOERROR"])  #: any of these is good
    expect: str = ""  #: RE2 pattern that must be found in one of the answer's records
    min_answers: int = Field(default=1, ge=0)  #: fewer records are a failure, where the rcode is NOERROR

    def __post_init__(self) -> None:
        from dns.exception import DNSException
        from dns.name import from_text

        self._host, self._port = host_and_port(self.server, 53)
        check_pattern(self.expect, "expect")
        try:
            from_text(self.query)
        except (DNSException, UnicodeError):
            raise ValueError("query is no DNS name") from None
        super().__post_init__()

    def place(self) -> str:
        return self.server

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:  # noqa: ARG002  # a probe's shape
        from dns.exception import DNSException

        began = time.monotonic()
        address = (await outbound.addresses(self._host, self._port))[0]
        resolved = time.monotonic()
        try:
            answer, _ = await asyncio.wait_for(self._ask(address), self.timeout)
        except EOFError:
            return failed("connect")
        except DNSException:
            return failed("protocol")
        readings: list[Reading] = [
            ("probe_dns_lookup_time_seconds", (), resolved - began),
            ("probe_dns_duration_seconds", (("phase", "request"),), time.monotonic() - resolved),
            ("probe_dns_query_succeeded", (), 1.0),
            *_counts(answer),
        ]
        reason = self._verdict(answer)
        return failed(reason, readings) if reason else (True, readings)

    async def _ask(self, address: str) -> tuple[Message, bool]:
        from dns.asyncquery import tcp, udp_with_fallback
        from dns.flags import RD
        from dns.message import make_query

        question = make_query(self.query, self.type, use_edns=0)
        if not self.recursion:
            question.flags &= ~RD
        if self.transport == "tcp":
            return await tcp(question, address, port=self._port), True
        return await udp_with_fallback(question, address, port=self._port)

    def _verdict(self, answer: Message) -> str:
        from dns.rcode import to_text

        code = to_text(answer.rcode())
        if code not in self.rcodes:
            return "rcode"
        texts = [record.to_text() for rrset in answer.answer for record in rrset]
        if code == "NOERROR" and len(texts) < self.min_answers:
            return "answers"
        if self.expect and not any(found(self.expect, text) for text in texts):
            return "body"
        return ""


def _counts(answer: Message) -> list[Reading]:
    from dns.rdatatype import SOA

    counts: list[Reading] = [
        ("probe_dns_answer_rrs", (), float(sum(len(rrset) for rrset in answer.answer))),
        ("probe_dns_authority_rrs", (), float(sum(len(rrset) for rrset in answer.authority))),
        ("probe_dns_additional_rrs", (), float(sum(len(rrset) for rrset in answer.additional))),
        ("probe_dns_rcode", (), float(answer.rcode())),
    ]
    serials = [record.serial for rrset in answer.answer if rrset.rdtype == SOA for record in rrset]
    return [*counts, *(("probe_dns_serial", (), float(serial)) for serial in serials[:1])]
