"""What people do about actions and the audit from a terminal, against a real engine over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import text
from support.engines import NOON, PASSWORD, add_user, engine
from support.remedies import PLAN
from typer.testing import CliRunner

from rules.load import load_text
from watchkeeper.access.roles import Role
from watchkeeper.app.api.app import create
from watchkeeper.app.cli import app
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import _credentials
from watchkeeper.app.paths import write_private
from watchkeeper.model import ActionRecord, ActionState, RiskClass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Engine]:
    """An engine that answers on a free port, as its command line finds it."""
    with engine(tmp_path) as found:
        _credentials(found, found.clock.now())
        for name, role in (("ada", Role.ADMIN), ("lin", Role.ADMIN), ("opa", Role.OPERATOR)):
            add_user(found, name, role)
        server = uvicorn.Server(uvicorn.Config(create(found), port=0, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        write_private(found.data.engine_ready, f'{{"url": "http://127.0.0.1:{port}"}}')
        yield found
        server.should_exit = True
        thread.join()


def waiting(found: Engine, risk: RiskClass = RiskClass.A4) -> str:
    record = ActionRecord(
        id="act-1", state=ActionState.AWAITING_APPROVAL, plan=replace(PLAN, risk=risk), created_at=NOON,
        updated_at=NOON, requester=PLAN.rule, correlation_id="cor-1", progress={"needs": 2},
    )  # fmt: skip
    with found.state.begin() as unit:
        unit.actions.save(record, reason="waits", at=NOON)
    return record.id


def run(found: Engine, *words: str, typed: str = "") -> Any:
    return CliRunner().invoke(app, [*words, "--data", str(found.data.root)], input=typed)


def test_two_admins_approve_a_risky_plan_from_the_terminal_by_their_passwords(served: Engine) -> None:
    action = waiting(served)
    assert "awaiting_approval" in run(served, "actions", "list", "--waiting").output
    shown = run(served, "actions", "show", action).output
    assert "web1: {'state': 'ready'} -> {'state': 'drain'}" in shown
    for user in ("ada", "lin"):
        told = run(served, "actions", "approve", action, "--user", user, typed=f"{PASSWORD}\n")
        assert told.exit_code == 0, told.output
    with served.state.read() as unit:
        assert [(each.user, each.verdict) for each in unit.actions.approvals(action)] == [
            ("ada", "approve"), ("lin", "approve")
        ]  # fmt: skip


def test_an_action_is_told_in_chinese(served: Engine) -> None:
    action = waiting(served, RiskClass.A2)
    with served.state.begin() as unit:
        found = unit.actions.get(action)
        assert found is not None
        verdicts = [
            {"gate": "cooldown", "passed": False, "reason": "the target rests for another 40 s", "evidence": {}}
        ]
        kept = replace(found, progress={**found.progress, "verdicts": verdicts})
        unit.actions.save(kept, reason="waits", at=NOON)
    assert (
        "act-1      待审批 A2 drain-web1（web）：errors" in run(served, "actions", "list", "--language", "zh-CN").output
    )
    shown = run(served, "actions", "show", action, "--language", "zh-CN").output
    for expected in (
        "待审批",
        "原因 errors",
        "目标 haproxy/web",
        "拒绝  冷却期 目标仍在冷却期，还需 40 秒",
        "还需审批人数 1",
        "回退 web1",
    ):
        assert expected in shown, shown


RULES = """\
remediations:
  - name: drain_web1
    when: errors > 0.1
    action: haproxy
    target: web
    parameters: {drain: web1}
    verify: errors > 0.1
"""


def test_a_rules_action_is_asked_for_by_name_with_a_reason_and_what_is_waived(served: Engine) -> None:
    served.judging.use(load_text(RULES), served.clock.now())
    asked = ("actions", "request", "drain_web1", "--user", "opa")
    told = run(served, *asked, "--reason", "its disk", "--waive", "confirmed", typed=f"{PASSWORD}\n")
    assert told.exit_code == 0, told.output
    with served.state.read() as unit:
        (record,) = unit.actions.active()
    assert (record.id in told.output, record.requester) == (True, "opa")
    assert (record.progress["waived"], record.progress["waived_why"]) == (["confirmed"], "its disk")
    for more in (("--reason", "again"), ("--reason", " "), ("--reason", "x", "--waive", "blast_radius")):
        assert run(served, *asked, *more, typed=f"{PASSWORD}\n").exit_code != 0
    nobody = run(served, "actions", "request", "nobody", "--user", "opa", "--reason", "x", typed=f"{PASSWORD}\n")
    assert "there is no remediation rule 'nobody'" in str(nobody.exception)
    with served.state.read() as unit:
        assert len(unit.actions.active()) == 1


def test_a_wrong_password_and_an_operator_approve_nothing_risky(served: Engine) -> None:
    action = waiting(served)
    for user, typed in (("ada", "wrong password\n"), ("opa", f"{PASSWORD}\n"), ("nobody", f"{PASSWORD}\n")):
        assert run(served, "actions", "approve", action, "--user", user, typed=typed).exit_code != 0
    with served.state.read() as unit:
        assert unit.actions.approvals(action) == []
    assert run(served, "actions", "reject", action, "--user", "opa", typed=f"{PASSWORD}\n").exit_code == 0


def test_the_kill_switch_is_set_by_anybody_here_and_cleared_by_an_admin_with_a_password(served: Engine) -> None:
    assert run(served, "kill-switch", "show").exit_code == 0
    assert run(served, "kill-switch", "set", "smoke").exit_code == 0
    assert served.kill_switch()["on"]
    assert served.data.kill_switch.exists()
    assert "smoke" in run(served, "kill-switch", "show").output
    assert run(served, "kill-switch", "clear", "fixed", "--user", "opa", typed=f"{PASSWORD}\n").exit_code != 0
    assert served.kill_switch()["on"]
    assert run(served, "kill-switch", "clear", "fixed", "--user", "ada", typed=f"{PASSWORD}\n").exit_code == 0
    assert not served.kill_switch()["on"]


def test_the_kill_switch_is_set_while_no_engine_runs(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["kill-switch", "set", "smoke", "--data", str(tmp_path)])
    assert told.exit_code == 0
    assert "takes it over" in told.output
    assert "smoke" in (tmp_path / "kill-switch").read_text()


def audit(found: Engine, *words: str) -> Any:
    config = found.data.root.parent / "audit.yaml"
    config.write_text(f"data: {found.data.root}\n")
    return CliRunner().invoke(app, ["audit", *words, "--config", str(config)])


def test_the_audit_is_verified_with_and_without_heads_kept_elsewhere(tmp_path: Path) -> None:
    with engine(tmp_path) as found:
        with found.state.begin() as unit:
            for number in range(20):
                unit.audit.append("ada", "step", f"x-{number}", {"n": number}, at=NOON)
        head = audit(found, "head").output.strip()
        row, digest = head.split(":")
        file = tmp_path / "heads"
        file.write_text(f"2026-03-02T04:00:00Z {row} {digest}\n")
        assert "intact: 20 rows" in audit(found, "verify", "--heads", str(file)).output
        with found.state.begin() as unit:
            unit.connection.execute(text("DROP TRIGGER audit_no_delete"))
            unit.connection.execute(text("DELETE FROM audit WHERE seq > 15"))
        assert audit(found, "verify").exit_code == 0  # a cut tail alone does not show
        cut = audit(found, "verify", "--heads", str(file))
        assert (cut.exit_code, "row 20 was" in cut.output) == (1, True)
        assert audit(found, "verify", "--head", head).exit_code == 1
        with found.state.begin() as unit:
            unit.connection.execute(text("DELETE FROM audit WHERE seq = 7"))
        assert "row 8 does not fit" in audit(found, "verify").output
        assert audit(found, "verify", "--head", "nonsense").exit_code != 0
        assert audit(found, "verify", "--heads", str(tmp_path / "none")).exit_code != 0
