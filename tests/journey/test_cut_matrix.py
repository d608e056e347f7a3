"""Every one-way and two-way cut between observer, proxy, primary and standby: switched if and only if that helps.

All of it runs for real, in network namespaces: HAProxy, two copies, a user, a whole Watchkeeper. ``SEED`` repeats a
run, ``LONG_SECONDS`` and ``CASES`` bound it: the single cuts first, then combinations of several in random order.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from support.cut_matrix import chosen, divided, every, lived, single

pytestmark = pytest.mark.servers


def test_the_matrix_has_every_combination_once_and_knows_what_should_happen() -> None:
    cases = every()
    assert len(cases) == len({case.ways for case in cases}) == 4**6
    assert [str(case) for case in single()][:2] == ["nothing", "watcher-proxy there"]
    assert sum(case.should_switch for case in single()) == 3  # the three ways of proxy to primary
    assert sum(case.should_switch for case in cases) == 3 * 4**3


@pytest.mark.long
def test_whatever_is_cut_traffic_moves_if_and_only_if_that_helps() -> None:
    seed, most = int(os.environ.get("SEED", time.time_ns() % 1_000_000)), int(os.environ.get("CASES", "4096"))
    deadline = time.monotonic() + float(os.environ.get("LONG_SECONDS", "3600"))
    first, rest = single(), every()[len(single()) :]
    random.Random(seed).shuffle(rest)
    found = []
    with tempfile.TemporaryDirectory(prefix="wk-cuts-") as folder, divided(Path(folder)) as estate:
        for case in chosen([*first, *rest][:most], deadline):
            found.append(lived(estate, case))
            last = found[-1]
            told = {"cut": str(case), "should": case.should_switch, "switches": last.switches, "back": last.returns}
            print(json.dumps({**told, "seconds": round(last.seconds, 1)}), flush=True)
    counted = Counter("wrong" if one.wrong else "missed" if one.missed else "right" for one in found)
    slowest = max((one.seconds for one in found if one.switches), default=0.0)
    print(f"\nseed {seed}: {len(found)} cases, {dict(counted)}; slowest switch {slowest:.1f} s")
    assert [str(one.case) for one in found if one.wrong] == []
    assert counted["right"] >= 0.99 * len(found)
