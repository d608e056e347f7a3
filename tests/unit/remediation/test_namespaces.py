"""A direction that is cut between two hosts drops what is sent, and the other direction goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.haproxy import wait_until
from support.namespaces import net, reaches

pytestmark = pytest.mark.servers
COPY = Path(__file__).parents[2] / "support" / "one_copy.py"


def test_one_way_and_two_way_cuts_and_mending() -> None:
    with net("left", "right") as made:
        copies = [
            subprocess.Popen(made.inside(host, sys.executable, str(COPY), host, "80"), env={**os.environ, "HOST": ""})
            for host in ("left", "right")
        ]
        try:
            wait_until(lambda: reaches(made, "left", "right", 80) and reaches(made, "watcher", "left", 80))
            made.cut("left", "right")  # what goes there is lost, so neither can open a connection to the other
            assert not reaches(made, "left", "right", 80)
            assert not reaches(made, "right", "left", 80)
            assert reaches(made, "watcher", "right", 80)
            assert reaches(made, "watcher", "left", 80)
            made.mend()
            assert reaches(made, "left", "right", 80)
        finally:
            for copy in copies:
                copy.kill()
                copy.wait()
