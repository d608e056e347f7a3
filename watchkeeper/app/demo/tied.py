"""Runs a program that is not ours so that the kernel ends it when the demo is gone: ``tied USER PROGRAM ARGUMENTS``.

``USER`` is the account it runs as when root starts it; empty: the same as ours.
"""

from __future__ import annotations

import os
import pwd
import sys

from watchkeeper.app.children import die_with_parent


def main() -> None:
    """The wish to die with the parent outlives ``exec``, but not a change of the account: that comes first."""
    if sys.argv[1]:
        account = pwd.getpwnam(sys.argv[1])
        os.chdir("/")
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    die_with_parent()
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - a path that the demo looked up


if __name__ == "__main__":
    main()
