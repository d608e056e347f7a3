"""Runs a program that is not ours so that the kernel ends it when the demo is gone: ``tied PROGRAM ARGUMENTS``."""

from __future__ import annotations

import os
import sys

from watchkeeper.app.children import die_with_parent


def main() -> None:
    """The wish to die with the parent outlives ``exec``."""
    die_with_parent()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - a path that the demo looked up


if __name__ == "__main__":
    main()
