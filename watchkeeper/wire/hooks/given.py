"""Our own form of an event: the body of ``POST /api/wk/events`` and of the preset ``watchkeeper``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.hooks.read import Hook, Told, kept
from watchkeeper.wire.hooks.signature import TIMESTAMP, ours

Short = Annotated[str, Field(max_length=200)]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$")]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: EventKind
    title: Annotated[str, Field(min_length=1, max_length=300)]
    service: Short = ""
    environment: Short = ""
    status: EventStatus = EventStatus.OK
    start: AwareDatetime | None = None  #: none: now
    end: AwareDatetime | None = None
    version: Short = ""
    actor: Short = ""
    link: Annotated[str, Field(max_length=1000, pattern=r"^(https?://\S*)?$")] = ""
    labels: Annotated[dict[LabelName, Annotated[str, Field(max_length=500)]], Field(max_length=30)] = {}
    payload: dict[str, Any] = {}
    id: Short = ""  #: the sender's own; telling it again adds nothing

    @model_validator(mode="after")
    def _order(self) -> Given:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("an event ends after it starts")
        return self

    def event(self, told: Told | None, *, now: Any) -> Event:
        """Unstamped: whoever takes it in says of which source it is."""
        names = ("kind", "title", "service", "environment", "status", "end", "version", "actor", "link", "labels")
        values = {name: getattr(self, name) for name in names}
        delivery = self.id or (f"{told.headers.get(TIMESTAMP, '')}/{told.digest}" if told else "")
        start = self.start or min(now, self.end or now)
        return Event(**values, start=start, delivery=delivery, payload=kept(self.payload))


def read(told: Told) -> list[Event]:
    try:
        return [Given.model_validate(told.data).event(told, now=told.now)]
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)[:3]]
        raise WireError("; ".join(found)) from None


HOOK = Hook(ours, read)
