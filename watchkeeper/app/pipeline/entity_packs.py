"""Shipped rules that read acts out of lines, by the name of their pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from watchkeeper.config.security import ActRule

if TYPE_CHECKING:
    from watchkeeper.config.security import Said

#: Before the message of a line of a file stand time, host and program; the journal and syslog have taken them off.
_SSHD = r"^(?:(?:.*?\s)?(?P<machine>\S+) sshd(?:-session)?\[\d+\]: )?(?:message repeated (?P<times>\d+) times: \[ )?"
#: The last words count: who signs in may choose a name that looks like the rest of a line.
_FROM = r" from (?P<source>[0-9a-fA-F.:%\w]+) port \d+ ssh2"
_SSH: dict[Said, list[str]] = {
    "user": ["user"], "source": ["source"], "times": ["times"], "host": ["machine", "hostname", "host", "instance"],
}  # fmt: skip
#: OpenSSH's words for a refusal and for a sign-in.
SIGN_IN = (
    ActRule(
        name="ssh_refused",
        where='"Failed"',
        pattern=_SSHD + r"(?P<outcome>Failed) \S+ for (?:invalid user )?(?P<user>.*)" + _FROM + r"\]?\s*$",
        fields={**_SSH, "outcome": ["outcome"]},
    ),
    ActRule(
        name="ssh_accepted",
        where='"Accepted"',
        pattern=_SSHD + r"(?P<event>Accepted) \S+ for (?P<user>\S+)" + _FROM + r"(?:: .*)?\]?\s*$",
        fields={**_SSH, "event": ["event"]},
        signed_in="Accepted",
    ),
)
#: The common and the combined format of Apache, nginx and others.
ACCESS = (
    ActRule(
        name="access",
        where='"HTTP"',
        pattern=r'^(?P<source>[0-9a-fA-F.:]+) \S+ (?P<user>\S+) \[[^\]]+\] "[A-Z]+ [^"]*HTTP/[0-9.]+" (?P<status>\d{3})'
        r' (?P<bytes>\d+|-)(?: "[^"]*" "(?P<device>[^"]*)")?',
        fields={
            "user": ["user"],
            "source": ["source"],
            "status": ["status"],
            "bytes": ["bytes"],
            "device": ["device"],
            "host": ["hostname", "host", "instance"],
        },
    ),
)
#: Names that gateways, firewalls, single sign-on and programs give to the same things; ECS, OpenTelemetry, Envoy too.
JSON = (
    ActRule(
        name="json",
        pattern=r"^\s*\{",
        fields={
            "user": ["user.name", "user_name", "username", "user_id", "userId", "user.id", "uid", "account", "user"],
            "source": [
                "source.ip", "client.address", "client.ip", "source_ip", "sourceIPAddress", "src_ip", "client_ip",
                "clientip", "client_addr", "remote_addr", "remote_ip", "remoteip", "ip_address", "ipAddress", "ip",
                "source",
            ],
            "host": ["host.name", "hostname", "host"],
            "device": ["user_agent.original", "user_agent", "userAgent", "device", "http_user_agent"],
            "outcome": ["event.outcome", "outcome", "result", "success", "decision"],
            "status": ["http.response.status_code", "response_code", "status_code", "status"],
            "event": ["event.action", "event_type", "eventName", "event", "action", "type"],
            "bytes": ["http.response.body.bytes", "body_bytes_sent", "bytes_sent", "response_size", "bytes"],
            "time": ["@timestamp", "timestamp", "time", "ts", "eventTime", "at"],
            "latitude": ["client.geo.location.lat", "source.geo.location.lat", "geo.lat", "latitude", "lat"],
            "longitude": ["client.geo.location.lon", "source.geo.location.lon", "geo.lon", "longitude", "lon", "lng"],
            "place": ["client.geo.city_name", "source.geo.city_name", "geo.city", "city", "country"],
        },
        signed_in=r"(?i).*(log.?in|log.?on|sign.?in|authenticat|console).*",
    ),
)  # fmt: skip
PACKS: Mapping[str, Sequence[ActRule]] = {"sign_in": SIGN_IN, "access": ACCESS, "json": JSON}
