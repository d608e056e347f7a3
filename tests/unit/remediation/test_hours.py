"""A healthy primary is left alone, whatever befalls the watcher; and the simulation can tell when it is not."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.fast_state import Remembering
from support.hours import BEAT, Hours
from support.hours_pool import chunks
from support.memory_state import MemoryState

from remediation import confirm, gates
from remediation.gates import evidence
from remediation.gates.base import passed

#: Promised: in so many simulated hours without a fault, no switch.
PROMISED = 100_000.0


def lived(hours: Hours) -> tuple[object, ...]:
    """All that is remembered, by the rows and by the process."""
    mind = hours.remediator
    with hours.state.read() as unit:
        paths = [
            (record.state, record.progress, [(step.new_state, step.at, step.reason) for step in path])
            for record, path in ((record, unit.transitions.of(record.id)) for record in hours.records())
        ]
    histories = {name: (past.seen, past.onset, past.onsets) for name, past in mind._histories.items()}
    return paths, histories, mind._links, mind._read_at, mind.counts, hours.events, hours.samples, hours.clock.now()


def test_hours_that_are_leapt_over_are_the_ones_that_would_have_been_lived_through(tmp_path: Path) -> None:
    found = []
    for leaps, open_state in ((False, Remembering), (True, MemoryState)):
        (tmp_path / f"{leaps}").mkdir()
        with closing(Hours(tmp_path / f"{leaps}", 7, leaps=leaps, open_state=open_state)) as hours:
            hours.run(10)
            with hours.state.read() as unit:
                found.append((*lived(hours), unit.audit.head()))
    assert found[0] == found[1]
    assert len(found[0][0]) > 10  # type: ignore[arg-type]


def test_in_a_sample_of_faultless_hours_nothing_is_switched(tmp_path: Path) -> None:
    events: Counter[str] = Counter()
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        with closing(Hours(tmp_path / str(seed), seed)) as hours:
            assert hours.run(6) >= 6
            assert hours.pool.executed() == 0
            events += hours.events
            events.update(f"{record.state}" for record in hours.records())
    assert {"pauses", "suppressed", "cleared"} <= set(events)  # it was tempted
    assert sum(count for name, count in events.items() if name.startswith("partitions")) >= 3


@pytest.mark.parametrize("seed", [3, 4])
def test_a_real_fault_is_switched_within_a_few_beats_and_stays_switched(tmp_path: Path, seed: int) -> None:
    fault_at: list[datetime] = []

    def fault(now: datetime) -> bool:
        return bool(fault_at) and now >= fault_at[0]

    with closing(Hours(tmp_path, seed, fault=fault)) as hours:
        hours.run(2)
        assert hours.pool.executed() == 0
        fault_at.append(hours.clock.now())
        took = hours.run(2, enough=lambda: hours.pool.executed() > 0) * 3600
        assert hours.pool.executed() == 1
        assert took <= 60 * BEAT  # most often five beats; a cut or a pause at that very time puts it off
        hours.run(0.5)
        assert [name for name, each in hours.pool.servers.items() if each["state"] == "ready"] == ["web2"]


def test_with_one_observer_alone_a_one_way_cut_would_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirm, "OBSERVERS", 1)
    monkeypatch.setattr(evidence, "OBSERVERS", 1)
    with closing(Hours(tmp_path, 5)) as hours:
        link = replace(hours.settings.links[0], observers=[])
        hours.remediator.settings.links[:] = [link]
        hours.run(150, enough=lambda: hours.pool.executed() > 0)
        assert hours.pool.executed() > 0


def test_without_gate_4_a_cut_of_our_own_uplink_would_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tuple(
        (name, (lambda _: passed("isolation")) if name == "isolation" else gate) for name, gate in gates.GATES
    )
    monkeypatch.setattr(gates, "GATES", broken)
    with closing(Hours(tmp_path, 6)) as hours:
        hours.run(300, enough=lambda: hours.pool.executed() > 0)
        assert hours.pool.executed() > 0


@pytest.mark.long
def test_in_a_hundred_thousand_faultless_hours_nothing_is_switched(tmp_path: Path) -> None:
    """``SIMULATED_HOURS`` and ``LONG_SECONDS`` bound it; what was reached is printed, with its seeds."""
    wanted = float(os.environ.get("SIMULATED_HOURS", PROMISED))
    first = int(os.environ.get("SIMULATION_SEED", "1000"))
    began, done, spent, events = time.monotonic(), 0.0, 0.0, Counter[str]()
    deadline = began + float(os.environ.get("LONG_SECONDS", "3600"))
    seeds = []
    for one in chunks(tmp_path, first, wanted, deadline):
        assert one.executed == 0, f"seed {one.seed}: {one.last}"
        assert one.broken_audit is None, f"seed {one.seed}"
        seeds.append(one.seed)
        done, spent, events = done + one.hours, spent + one.seconds, events + one.events
    print(f"\n{done:.0f} of {wanted:.0f} simulated hours, seeds {min(seeds)} to {max(seeds)}, 0 wrong switches;")
    print(f"{done / (time.monotonic() - began):.1f} simulated hours a second, {done / spent:.1f} a processor's second;")
    print(dict(events))
    assert done > 0
    assert timedelta(hours=done) >= timedelta(hours=wanted) or time.monotonic() >= deadline
