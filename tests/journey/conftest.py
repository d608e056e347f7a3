"""Journeys run on every sample store: a part of them always, all of them in ``make test-long``.

Where the samples are is not the journeys' business: a fixture says it to every engine that is built or started
meanwhile. Whoever does not go along is named below with the reason; a new journey that is neither is refused.
"""

from __future__ import annotations

import pytest
from support import engines, up
from support.kept import MOSTLY, Kept, kept_for

#: Journeys, or tests of one, that stay where they are. What of them touches a server is shown where they say.
ALONE = {
    "test_demo": "the demo is one command that writes its own configuration",
    "test_kills": "is about the log of the embedded store; falls of servers are in tests/unit/store/samples/remote",
    "test_log_kills": "keeps lines of logs and no samples",
    "test_remediation_haproxy": "a dictionary answers instead of samples",
    "test_remote_write": "compares bit for bit what was pushed; VictoriaMetrics rounds to about 12 digits",
    "test_remote_write_out": "follows the log of the embedded store; with a server that server is where samples go",
    "test_agent_kills": "kills the agent, whose own store is embedded; the engine and what it keeps live on",
    "test_plans": "is about runs in the state database; what rules see on every store is shown by test_every_store",
    "test_hostile_target": "is about what one target says of another; which store keeps it is all the same",
    "test_cut_matrix": "is about wires between hosts; its engine is whole and real, and an hour is short enough",
    "test_failover_stores": "is about what a promotion takes from witnesses; stores of samples have test_failover",
    "test_sign_in": "looks at no samples",
    "test_standby": "is about the state database; two engines have a store each",
    "test_watchers": "is about lease and actuator; no engine is whole",
    "test_killed_ended_and_frozen_a_hundred_ways_it_costs_the_watched_service_no_request": (
        "is about requests that do not pass through us"
    ),
    "test_a_thousand_readers_get_what_they_ask_in_time": "measures this engine on this machine; thirty ask everywhere",
    "test_a_full_disk_is_counted_survived_and_left_behind": "fills the disk of the embedded store",
    "test_while_the_sample_server_is_away_nothing_is_known_and_nothing_done_and_then_nothing_is_missing": (
        "starts and kills the server itself"
    ),
}
kept = kept_for("function")


@pytest.fixture(autouse=True)
def kept_by_default(kept: Kept) -> Kept:
    """Engines that are built meanwhile keep their samples there."""
    return kept


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whoever has engines and chooses no store himself meets all of them."""
    module, test = metafunc.module.__name__.rpartition(".")[2], metafunc.definition.originalname
    if module in ALONE or test in ALONE:
        return
    if any("kept" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")):
        return
    if not _has_engines(metafunc.module):
        raise pytest.UsageError(f"{module}: on which store? Build engines by support.engines, or say why not in ALONE")
    metafunc.parametrize("kept", MOSTLY, indirect=True)


def _has_engines(module: object) -> bool:
    """It builds engines, starts processes, or has one estate for all of its tests."""
    mine = getattr(module, "build", None) is engines.build or getattr(module, "running", None) is up.running
    return mine or hasattr(module, "kept")
