"""A contingency plan from its alert to its evidence: one run an incident, gates kept, restarts survived."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import yaml
from fastapi.testclient import TestClient
from support.engines import clock_of
from support.journey import assert_ledgers, walk
from support.switched import SECTION, broken, rehearsed, running, shop, token

from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.explain import explain
from watchkeeper.app.reload import reload
from watchkeeper.model import ActionRecord, ActionState, Approval, PlanRun, RunState, StepState
from watchkeeper.promql import Vector


def runs(engine: Engine) -> list[PlanRun]:
    with engine.state.read() as unit:
        return unit.plans.recent()


def only(engine: Engine) -> PlanRun:
    (found,) = runs(engine)
    return found


def actions(engine: Engine) -> list[ActionRecord]:
    with engine.state.read() as unit:
        return unit.actions.recent(clock_of(engine).now().replace(year=2000))


def approve(engine: Engine, user: str = "ann") -> None:
    """As many people as it takes say yes to what waits."""
    (record,) = [one for one in actions(engine) if one.state is ActionState.AWAITING_APPROVAL]
    with engine.state.begin() as unit:
        unit.actions.approve(
            Approval(action_id=record.id, plan_hash=record.plan.digest(), user=user, verdict="approve", reason="",
                     at=clock_of(engine).now())
        )  # fmt: skip


def states(run: PlanRun) -> list[str]:
    return [str(step.state) for step in run.steps]


def value(engine: Engine, query: str) -> float | None:
    found = engine.promql.instant(query, round(clock_of(engine).now().timestamp() * 1000))
    assert isinstance(found, Vector)
    return float(found.values[0]) if len(found.values) else None


async def test_a_carrier_that_fails_is_degraded_told_called_and_measured_until_its_symptom_stays_away(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as found, running(found) as engine:
        await rehearsed(engine)
        await walk(engine, 20)
        found.carrier(up=False)
        await walk(engine, 25)
        assert runs(engine) == []  # the trigger asks for 30 s
        assert actions(engine) == []  # and the rule is never opened by itself
        await walk(engine, 30)
        run = only(engine)
        (action,) = actions(engine)
        assert action.requester == "plan carrier"
        assert action.plan.incident_id == run.incident_id
        assert action.state is ActionState.AWAITING_APPROVAL
        assert found.quotes() == "live"
        assert states(run) == ["active", "pending", "pending"]

        approve(engine)
        await walk(engine, 4)
        assert found.quotes() == "cached"
        found.carrier(up=False, failing=0.0)
        await walk(engine, 40)
        run = only(engine)
        assert states(run) == ["done", "done", "active"]
        assert run.recovered_at is not None
        took = (run.recovered_at - run.clock_at).total_seconds()
        assert 20 <= took <= 60
        (said,) = [text for text in found.told("wecom") if "Quotes are cached" in text]
        assert "back by" in said
        assert any("All is well" in text for text in found.told("wecom"))
        assert not any("报价来自缓存" in text for text in found.told("dingtalk"))  # another audience
        assert any("Acme Carrier" in text and "C-7" in text for text in found.told("dingtalk"))

        client = TestClient(create(engine), headers={"authorization": f"Bearer {token(engine)}"})
        answer = client.post(f"/api/wk/plans/runs/{run.id}/steps/call/done", json={"note": "ticket 4711"})
        assert answer.status_code == 200, answer.text
        await walk(engine, 10)
        run = only(engine)
        assert run.state is RunState.COMPLETED
        assert value(engine, 'watchkeeper_plan_recovery_seconds{plan="carrier"}') == took
        assert found.hands.done("quotes") == ["execute"]
        _tells_itself(engine, client, run)
        assert_ledgers(engine)


def _tells_itself(engine: Engine, client: TestClient, run: PlanRun) -> None:
    """Explained, and given away as one file."""
    for subject in (run.id, run.incident_id):
        with engine.state.read() as unit:
            told = explain(unit, subject, engine.config.zone)
        assert told is not None
        text = "\n".join(told["text"])
        for words in ("its trigger is met", "is verified", "ticket 4711", "recovered: the symptom stayed away"):
            assert words in text, (subject, words)
    answer = client.get(f"/api/wk/plans/runs/{run.id}/pack")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = set(archive.namelist())
    assert {"index.html", "run.json", "timeline.csv", "start/evidence.json", "end/evidence.json"} <= names
    table = list(csv.reader(io.StringIO(archive.read("end/metric-1.csv").decode())))
    assert "carrier_up" in table[0][1]
    assert {row[1] for row in table[1:]} >= {"0.0", "1.0"}
    timeline = archive.read("timeline.csv").decode()
    assert "ticket 4711" in timeline
    assert "awaiting_approval" in timeline
    assert json.loads(archive.read("run.json"))["evidence"] == ["end", "start"]
    assert "<script" not in archive.read("index.html").decode()
    assert client.get(f"/api/wk/plans/runs/{run.id}/pack").content == answer.content


async def test_a_new_life_of_the_engine_goes_on_at_the_same_step_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    async with shop(tmp_path) as found:
        async with running(found) as engine:
            await rehearsed(engine)
            await walk(engine, 20)
            await broken(engine, found)
            before = only(engine)
        for _ in range(2):
            async with running(found) as engine:
                await walk(engine, 30)
                if found.quotes() == "live":
                    approve(engine)
                await walk(engine, 4)
                found.carrier(up=False, failing=0.0)
                await walk(engine, 20)
                run = only(engine)
                assert run.id == before.id
                assert run.steps[0].action_id == before.steps[0].action_id
                assert len(actions(engine)) == 1
        assert found.quotes() == "cached"
        assert found.hands.done("quotes") == ["execute"]


async def test_a_step_that_was_refused_waits_for_a_person_and_late_ones_are_told_once(tmp_path: Path) -> None:
    async with shop(tmp_path) as found, running(found) as engine:
        await rehearsed(engine)
        await walk(engine, 20)
        engine.set_kill_switch(on=True, by="ann", reason="not now")
        await broken(engine, found, 90)
        run = only(engine)
        assert run.steps[0].state is StepState.BLOCKED
        assert "suppressed" in run.steps[0].note
        assert found.quotes() == "live"
        engine.set_kill_switch(on=False, by="ann", reason="go on")
        client = TestClient(create(engine), headers={"authorization": f"Bearer {token(engine)}"})
        path = f"/api/wk/plans/runs/{run.id}"
        assert client.post(f"{path}/steps/call/done", json={}).status_code == 409  # not its turn
        assert client.post(f"{path}/steps/degrade/failed", json={}).status_code == 409  # says no why
        assert client.post(f"{path}/steps/degrade/retry", json={"note": "again"}).status_code == 200
        await walk(engine, 30)
        assert [one.state for one in actions(engine)][-1] is ActionState.AWAITING_APPROVAL
        assert client.post(f"{path}/steps/degrade/done", json={}).status_code == 409  # an action is under way
        await walk(engine, 66)
        overdue = [text for text in found.told("dingtalk") if "已超时" in text and "degrade" in text]
        assert len(overdue) == 1
        assert client.post(f"{path}/abort", json={"note": "the carrier is back"}).status_code == 200
        assert only(engine).state is RunState.ABORTED
        await walk(engine, 6)
        assert len(runs(engine)) == 1  # one run for an incident, whatever became of it
        incident = only(engine).incident_id
        again = client.post("/api/wk/plans/carrier/start", json={"reason": "x", "incident_id": incident})
        assert again.status_code == 409
        assert_ledgers(engine)


async def test_a_drill_rehearses_on_the_test_target_tells_only_its_audience_and_has_an_age(tmp_path: Path) -> None:
    async with shop(tmp_path) as found, running(found) as engine:
        await walk(engine, 20)
        client = TestClient(create(engine), headers={"authorization": f"Bearer {token(engine)}"})
        assert client.get("/api/wk/plans").json()["plans"][0]["drill_overdue"] is True
        begun = client.post("/api/wk/plans/carrier/start", json={"reason": "quarter", "drill": True})
        assert begun.status_code == 201
        again = client.post("/api/wk/plans/carrier/start", json={"reason": "quarter", "drill": True})
        assert again.status_code == 409
        await walk(engine, 10)
        run = only(engine)
        assert states(run) == ["done", "done", "active"]
        assert found.quotes() == "live"
        assert found.hands.done("quotes") == []
        assert found.hands.done("trial") == ["execute", "rollback"]
        assert actions(engine) == []
        client.post(f"/api/wk/plans/runs/{run.id}/steps/call/done", json={"note": "answered in 40 s"})
        await walk(engine, 20)
        assert only(engine).state is RunState.COMPLETED
        assert found.told("wecom") == []  # customers hear of no drill
        assert all("演练" in text for text in found.told("dingtalk"))
        assert len(found.told("dingtalk")) >= 3
        age = value(engine, 'watchkeeper_plan_drill_age_seconds{plan="carrier"}')
        assert age is not None
        assert 0 <= age <= 20
        assert value(engine, 'watchkeeper_plan_recovery_seconds{plan="carrier"}') is None
        assert value(engine, 'watchkeeper_plan_drill_duration_seconds{plan="carrier"}') is not None
        assert client.get("/api/wk/plans").json()["plans"][0]["drill_overdue"] is False
        assert_ledgers(engine)


async def test_what_a_plan_names_must_be_there_and_a_reload_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as found, running(found) as engine:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"vendors": []}, "there is no vendor 'acme'"),
            ({"audiences": SECTION["audiences"][2:]}, "there is no audience 'customers'"),
            ({"items": [{**SECTION["items"][0], "steps": [{"name": "x", "kind": "rule", "rule": "nobody"}],
                         "notices": []}]}, "there is no remediation rule 'nobody'"),
            ({"items": [{**SECTION["items"][0], "recovery": {"symptom": "sum("}}]}, "recovery.symptom"),
            ({"audiences": [*SECTION["audiences"][1:], {"name": "oncall", "channels": ["fax"]}]}, "no channel 'fax'"),
            ({"packs": ["provider_down"]}, "no remediation rule"),
        ]  # fmt: skip
        text = (tmp_path / "watchkeeper.yaml").read_text()
        for change, said in wrong:
            body = yaml.safe_load(text)
            body["plans"] = {**body["plans"], **change}
            (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(body))
            assert said in await reload(engine)
            assert list(engine.planning.known) == ["carrier"]
        (tmp_path / "plans").mkdir()
        (tmp_path / "plans" / "more.yaml").write_text("plans: [{name: more, steps: [{name: look}]}]")
        (tmp_path / "watchkeeper.yaml").write_text(text)
        assert await reload(engine) == ""
        assert list(engine.planning.known) == ["more", "carrier"]
        (tmp_path / "plans" / "more.yaml").write_text("plans: [{name: more, stepz: [], steps: [{name: look}]}]")
        assert "more.yaml:1: plans[0].stepz: unknown key; did you mean 'steps'?" in await reload(engine)
        (tmp_path / "plans" / "more.yaml").write_text("plans: [{name: carrier, steps: [{name: look}]}]")
        assert "another plan has this name" in await reload(engine)
