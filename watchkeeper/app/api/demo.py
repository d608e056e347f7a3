"""The demo's own API: faults, what became of them, and what the chat robots were sent. Served in the demo only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.demo.faults import FAULTS, Faults
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.robot import messages
from watchkeeper.app.engine import Engine
from watchkeeper.errors import ConfigError
from watchkeeper.model import Alert

#: Alerts of the demo's rules name their fault in this label.
LABEL = "demo_fault"
#: How far back alerts are looked at, and how many messages are shown.
SPAN, SHOWN = timedelta(hours=6), 30


class Named(BaseModel):
    name: str = Field(min_length=1, max_length=50)


Operator = Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))]


def router_of(place: Place) -> APIRouter:
    """The routes over one demo folder."""
    router = APIRouter(prefix="/api/wk/demo", dependencies=[Depends(read)])
    faults = Faults(place.faults)

    @router.get("")
    def demo(request: Request) -> dict[str, Any]:
        engine: Engine = request.app.state.engine
        now, about = engine.clock.now(), place.about()
        with engine.state.read() as unit:
            alerts = unit.alerts.recent(now - SPAN)
        return {
            "now": shapes.moment(now),
            "faults": [_fault(name, faults, alerts) for name in FAULTS if name in about["faults"]],
            "missing": about["missing"],
            "seeded_orders": about["seeded_orders"],
            "messages": [_message(one) for one in messages(place.messages, SHOWN)],
        }

    @router.post("/break")
    def break_(request: Request, body: Named, caller: Operator) -> dict[str, Any]:
        if body.name in FAULTS and body.name not in place.about()["faults"]:
            raise ConfigError(f"{body.name} needs {FAULTS[body.name].needs}, which is not installed here")
        began = faults.break_(body.name)
        _audit(request.app.state.engine, caller, "demo.broken", body.name)
        return {"name": body.name, "since": shapes.moment(datetime.fromtimestamp(began, UTC))}

    @router.post("/heal")
    def heal(request: Request, body: Named, caller: Operator) -> dict[str, Any]:
        was_on = faults.heal(body.name)
        _audit(request.app.state.engine, caller, "demo.healed", body.name)
        return {"name": body.name, "was_on": was_on}

    return router


def _audit(engine: Engine, caller: Principal, action: str, name: str) -> None:
    with engine.state.begin() as unit:
        unit.audit.append(caller.name, action, name, {}, at=engine.clock.now())


def _fault(name: str, faults: Faults, alerts: list[Alert]) -> dict[str, Any]:
    since = faults.since(name)
    own = [alert for alert in alerts if alert.labels.get(LABEL) == name and alert.incident_id]
    newest = max(own, key=lambda alert: alert.active_at, default=None)
    began = None if since is None else datetime.fromtimestamp(since, UTC)
    ends = None if began is None else began + timedelta(seconds=FAULTS[name].lasts)
    return {
        "name": name,
        "on": since is not None,
        "since": shapes.moment(began),
        "ends_at": shapes.moment(ends),
        "lasts_seconds": FAULTS[name].lasts,
        "incident_id": newest.incident_id if newest else "",
        "alert_state": newest.state.value if newest else "",
    }


def _message(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "at": shapes.moment(datetime.fromtimestamp(found["at"], UTC))}
