"""Shipped rules that make lines series, by the name of their pack; the alerts over them are rule packs of that name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchkeeper.config.logs import LogMetric

#: Before the message of a line of a file stand time, host and program; the journal and syslog have taken them off.
_SSHD, _SUDO = r"^(?:.*\bsshd(?:-session)?\[\d+\]: )?", r"^(?:.*\bsudo(?:\[\d+\])?: )?\s*"
#: The last words count: who signs in may choose a name that looks like the rest of a line.
_FROM = r" from (?P<source>[0-9a-fA-F.:%\w]+) port \d+"

#: Sign-ins by OpenSSH, sudo, and changes of accounts by Debian's, Red Hat's and SUSE's tools.
SECURITY = (
    LogMetric(
        name="security_sign_in_failures_total",
        where='"Failed"',
        pattern=_SSHD + r"Failed (?P<method>\S+) for .*" + _FROM + r" ssh2\s*$",
        labels={"source": "source", "method": "method"},
    ),
    LogMetric(
        name="security_sign_ins_total",
        where='"Accepted"',
        pattern=_SSHD + r"Accepted (?P<method>\S+) for (?P<user>\S+)" + _FROM + r" ssh2(?:: .*)?$",
        labels={"source": "source", "method": "method", "user": "user"},
    ),
    LogMetric(
        name="security_sudo_total",
        where='"COMMAND"',
        pattern=_SUDO + r"(?P<user>[^\s:]+) : (?:TTY=\S+ ; )?PWD=.* ; USER=(?P<target>\S+) ; (?:\S+ ; )*COMMAND=",
        labels={"user": "user", "target": "target"},
    ),
    LogMetric(
        name="security_sudo_refused_total",
        where='"COMMAND"',
        pattern=_SUDO
        + r"(?P<user>[^\s:]+) : (?:user NOT in sudoers|command not allowed|\d+ incorrect password attempts?) ; ",
        labels={"user": "user"},
    ),
    LogMetric(
        name="security_accounts_changed_total",
        pattern=r"^(?:.*\b(?:useradd|userdel|usermod|groupadd|passwd|chpasswd|gpasswd)\[\d+\]: |)"
        r"(?P<change>new user: name=|delete user '|add '[^']+' to (?:shadow )?group '|change user '|new group: name="
        r"|pam_unix\(passwd:chauthtok\): password changed for )(?P<account>[\w.-]+)",
        labels={"account": "account"},
    ),
)
PACKS: Mapping[str, Sequence[LogMetric]] = {"security": SECURITY}
